-- Keep a verdict; a later one on the same request replaces it. A full day takes no new ones.
-- KEYS: the day of the request. ARGV: request id and tenant, JSON, verdicts kept at most, seconds the day is kept.
-- Returns 1 for a first verdict, 2 for one that replaced another, 0 if it was not kept.
local known = redis.call('HEXISTS', KEYS[1], ARGV[1])
if known == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1 + known

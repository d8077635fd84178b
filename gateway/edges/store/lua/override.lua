-- Write or clear an override, drop the expired ones, and audit it.
-- KEYS: overrides, audit. ARGV: now (Unix seconds), field ('' for all), JSON ('' clears), audit line, lines kept.
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  if cjson.decode(flat[i + 1])['until_wall_s'] <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], flat[i]) end
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[2])
else
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
end
redis.call('LPUSH', KEYS[2], ARGV[4])
redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[5]) - 1)
return 1

-- Write prices, memory and board at once, unless a newer token has written, or the same one of another replica.
-- KEYS: published. ARGV: token, replica, prices, memory, board. Returns 1 if written.
local written = tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
local token = tonumber(ARGV[1])
if token < written then return 0 end
if token == written and redis.call('HGET', KEYS[1], 'writer') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'writer', ARGV[2], 'prices', ARGV[3], 'memory', ARGV[4], 'board', ARGV[5])
return 1

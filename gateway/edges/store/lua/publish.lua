-- Write prices, memory and board at once, if the lease is still ours and the token the last one handed out.
-- KEYS: published, lease, fence. ARGV: token, replica, prices, memory, board. Returns 1 if written.
-- So a writer that slept past its lease writes nothing, whether or not somebody else has taken it.
if redis.call('GET', KEYS[2]) ~= ARGV[2] or redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'token') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'writer', ARGV[2], 'prices', ARGV[3], 'memory', ARGV[4], 'board', ARGV[5])
return 1

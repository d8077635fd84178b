-- Leave: give the lease back if it is ours, and be counted no more.
-- KEYS: lease, alive, generations. ARGV: replica. Returns 1 if the lease was ours.
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0

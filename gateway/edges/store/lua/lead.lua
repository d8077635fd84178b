-- Take or renew the governor's lease.
-- KEYS: lease, fence, published. ARGV: replica, milliseconds.
-- Returns the holder's fencing token, nil while another replica holds the lease.
-- The token is renewed too when the store holds something of a newer writer: a server that lost its last seconds, or
-- all, may have handed out a smaller token than one that has written since.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return false end
local token = tonumber(redis.call('GET', KEYS[2]) or '0')
local written = tonumber(redis.call('HGET', KEYS[3], 'token') or '0')
local writer = redis.call('HGET', KEYS[3], 'writer')
if not holder or token < written or (token == written and writer ~= ARGV[1]) then
  if token < written then redis.call('SET', KEYS[2], string.format('%d', written)) end
  token = redis.call('INCR', KEYS[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return token

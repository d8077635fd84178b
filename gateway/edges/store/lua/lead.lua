-- Take or renew the governor's lease, unless somebody runs a newer configuration; say who else is there.
-- KEYS: lease, fence, published, alive, generations, configs.
-- ARGV: replica, milliseconds of the lease, milliseconds after which a silent replica counts as gone, digest of its
--       configuration as far as it makes prices, the generation it knows it by (0 for none), 1 after an edit that no answer has confirmed yet,
--       configurations remembered.
-- Returns: the fencing token ('' for none), live replicas, the generation of this configuration, the newest
--          generation of a live replica, and how many live replicas have an older one.
-- A configuration keeps its generation when a process starts with it again, so that a crash in the middle of a rollout
-- does not bring the old one back; an edit is always the newest. One that the store forgot gets back what the replica knew.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now)) do
  redis.call('ZREM', KEYS[4], gone)
  redis.call('ZREM', KEYS[5], gone)
end

local newest = redis.call('ZREVRANGE', KEYS[6], 0, 0, 'WITHSCORES')
local generation = tonumber(redis.call('ZSCORE', KEYS[6], ARGV[4]) or '0')
local known = tonumber(ARGV[5])
if generation == 0 or generation < known or (ARGV[6] == '1' and newest[1] ~= ARGV[4]) then
  generation = math.max(generation, known)
  if generation == 0 or ARGV[6] == '1' then generation = math.max(generation, tonumber(newest[2] or '0') + 1) end
  redis.call('ZADD', KEYS[6], generation, ARGV[4])
  redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -1 - tonumber(ARGV[7]))
end
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[3]), ARGV[1])
redis.call('ZADD', KEYS[5], generation, ARGV[1])
local live = tonumber(redis.call('ZREVRANGE', KEYS[5], 0, 0, 'WITHSCORES')[2])
local behind = redis.call('ZCOUNT', KEYS[5], '-inf', '(' .. live)

local holder = redis.call('GET', KEYS[1])
local token = ''
if generation < live then
  if holder == ARGV[1] then redis.call('DEL', KEYS[1]) end
else
  local theirs = holder and redis.call('ZSCORE', KEYS[5], holder)
  if not holder or holder == ARGV[1] or (theirs and tonumber(theirs) < generation) then
    -- The token is renewed too when the store holds something of a newer writer: a server that lost its last seconds,
    -- or all, may have handed out a smaller token than one that has written since.
    token = tonumber(redis.call('GET', KEYS[2]) or '0')
    local written = tonumber(redis.call('HGET', KEYS[3], 'token') or '0')
    local writer = redis.call('HGET', KEYS[3], 'writer')
    if holder ~= ARGV[1] or token < written or (token == written and writer ~= ARGV[1]) then
      if token < written then redis.call('SET', KEYS[2], string.format('%d', written)) end
      token = redis.call('INCR', KEYS[2])
    end
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
end
return {token, redis.call('ZCARD', KEYS[4]), generation, live, behind}

-- Try every command that the other scripts use, on keys of our own, and say which are refused.
-- KEYS: a string, a hash, a sorted set, a list; all are deleted at the end. Returns: name, the server's words, ...
local tries = {
  {'TIME'}, {'SET', KEYS[1], '1', 'EX', '60'}, {'GET', KEYS[1]}, {'INCR', KEYS[1]}, {'EXPIRE', KEYS[1], '60'},
  {'HSET', KEYS[2], 'a', '1'}, {'HGET', KEYS[2], 'a'}, {'HGETALL', KEYS[2]}, {'HINCRBY', KEYS[2], 'a', '1'},
  {'HEXISTS', KEYS[2], 'a'}, {'HMGET', KEYS[2], 'a'}, {'PEXPIRE', KEYS[2], '60000'}, {'HLEN', KEYS[2]}, {'HDEL', KEYS[2], 'a'},
  {'ZADD', KEYS[3], '1', 'a'}, {'ZRANGEBYSCORE', KEYS[3], '-inf', '+inf'}, {'ZREVRANGE', KEYS[3], '0', '0', 'WITHSCORES'},
  {'ZSCORE', KEYS[3], 'a'}, {'ZCARD', KEYS[3]}, {'ZCOUNT', KEYS[3], '-inf', '+inf'}, {'ZREM', KEYS[3], 'b'},
  {'ZREMRANGEBYSCORE', KEYS[3], '-inf', '0'}, {'ZREMRANGEBYRANK', KEYS[3], '0', '-101'},
  {'LPUSH', KEYS[4], 'a'}, {'LTRIM', KEYS[4], '0', '9'},
  {'DEL', KEYS[1]}, {'DEL', KEYS[2]}, {'DEL', KEYS[3]}, {'DEL', KEYS[4]},
}
local refused = {}
for _, try in ipairs(tries) do
  local answer = redis.pcall(unpack(try))
  if type(answer) == 'table' and answer.err then
    refused[#refused + 1] = try[1]
    refused[#refused + 1] = answer.err
  end
end
return refused

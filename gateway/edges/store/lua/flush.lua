-- Add one batch of counts, exactly once.
-- KEYS: the replica's sequence, the group's schema, the touched sets (one per width, finest first), then the slots to add to.
-- ARGV: seq, the last batch that the replica believes applied, seconds the sequence is kept, seconds each width is
--       kept; the schema, where the batch's newest slot begins and how far that may lie ahead of our clock (seconds);
--       then per slot: index of its width (1 is the finest), its number, count of fields, and field, amount, ...
-- Returns: the last batch of this replica that is applied now (seq itself, also for a duplicate), our clock, and the
--          older schema whose counts lie here unread ('' for none). An error SLUICE_SCHEMA n when a newer one writes here.
-- The belief is seq - 1, except where what lies between cannot be sent again. A copy that arrives late, even after a
-- roll-back, finds another last batch than it believes in, and changes nothing. A batch from the future changes nothing
-- either: the replica learns our clock from the answer, and sends it again with what lies ahead put into the present.
local mine = tonumber(ARGV[7])
local theirs = tonumber(redis.call('HGET', KEYS[2], 'version') or '0')
if theirs > mine then return redis.error_reply('SLUICE_SCHEMA ' .. theirs) end
if theirs < mine then
  if theirs > 0 then redis.call('HSET', KEYS[2], 'before', theirs) end
  redis.call('HSET', KEYS[2], 'version', mine)
end
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local before = redis.call('HGET', KEYS[2], 'before') or ''
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local seq = tonumber(ARGV[1])
if seq <= last or last ~= tonumber(ARGV[2]) then return {last, now, before} end
if tonumber(ARGV[8]) - tonumber(now) > tonumber(ARGV[9]) then return {last, now, before} end

-- First of all, and amounts by pcall: whatever is wrong with one field, the batch is never added a second time.
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
local widths = 3
local at = 7 + widths
for k = 3 + widths, #KEYS do
  local slot, width, number, fields = KEYS[k], tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  for _ = 1, fields do
    redis.pcall('HINCRBY', slot, ARGV[at], ARGV[at + 1])
    at = at + 2
  end
  redis.call('EXPIRE', slot, ARGV[3 + width])
  redis.call('ZADD', KEYS[2 + width], now, number)
end
for w = 1, widths do
  redis.call('ZREMRANGEBYSCORE', KEYS[2 + w], '-inf', tonumber(time[1]) - tonumber(ARGV[3 + w]))
end
return {seq, now, before}

-- List the slots that changed since a moment of the server's own clock, and say what the clock and the server are now.
-- KEYS: the touched sets, finest width first. ARGV: that moment, Unix seconds; 0 lists every kept slot.
-- Returns: now, the server's run id ('' where INFO is forbidden), then per width the numbers of its slots.
local time = redis.call('TIME')
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local found = {string.format('%d.%06d', time[1], time[2]), run}
for _, key in ipairs(KEYS) do
  found[#found + 1] = redis.call('ZRANGEBYSCORE', key, ARGV[1], '+inf')
end
return found

-- Settle what one holder tells about limits of one tenant, and grant what it may have: `core/tenants/vault.py`, on the server's clock.
-- KEYS: two per limit: its state (hash) and its holders (sorted set: holder -> until when its lease lasts).
-- ARGV: milliseconds of a lease, of the grace after it, milliseconds that the keys are kept, parts of what is left that a
--       lease may be one of; then per limit: amount, units per second, seq, heard, used, carried, born, need, least, want, floor,
--       1 if it leaves, holder.
-- Returns per limit: granted, held, level (text), holders, born.
-- State: born, amount, level, out, at (microseconds), day; and `h:<holder>` -> `seq granted held`.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local day = math.floor(tonumber(time[1]) / 86400)
local lease, grace, kept, share = ARGV[1] * 1000, ARGV[2] * 1000, ARGV[3], tonumber(ARGV[4])
local whole = function(number) return string.format('%.0f', number) end
local said = {}
for k = 1, #KEYS, 2 do
  local at = 4 + (k - 1) / 2 * 13
  local arg = function(n) return tonumber(ARGV[at + n]) end
  local amount, per_s, seq, heard, used, carried = arg(1), arg(2), arg(3), arg(4), arg(5), arg(6)
  local need, least, want, floor, leaves = arg(8), arg(9), arg(10), arg(11), arg(12) == 1
  local me = ARGV[at + 13]
  local was = redis.call('HMGET', KEYS[k], 'born', 'amount', 'level', 'out', 'at', 'day')
  local born = was[1] or whole(now)
  local level, out = tonumber(was[3] or amount), tonumber(was[4] or 0)

  -- Forget silent holders, take in a changed limit, let run in what has run in.
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[k + 1], '-inf', now - grace, 'LIMIT', 0, 100)) do
    local held = string.match(redis.call('HGET', KEYS[k], 'h:' .. name) or '0 0 0', '(%S+)$')
    out = out - tonumber(held)
    redis.call('HDEL', KEYS[k], 'h:' .. name)
    redis.call('ZREM', KEYS[k + 1], name)
  end
  if per_s > 0 then
    level = math.min(level + math.max(now - tonumber(was[5] or now), 0) / 1000000 * per_s, amount - out)
  else
    level = level + amount - tonumber(was[2] or amount)
    if day > tonumber(was[6] or day) then level = amount - out end
  end
  now = math.max(now, tonumber(was[5] or now))

  local known = redis.call('HGET', KEYS[k], 'h:' .. me)
  local last, granted, held = string.match(known or '', '(%S+) (%S+) (%S+)')
  local given, spare = 0, 0
  if known and seq <= tonumber(last) then  -- A call that comes late, or twice.
    granted, held = tonumber(granted), tonumber(held)
  else
    -- Settle.
    if known then
      level, out = level + tonumber(granted) - heard, out - tonumber(held)
      held = heard - used
    elseif ARGV[at + 7] ~= '' and ARGV[at + 7] ~= born then
      level, held, heard = level - carried, math.max(heard - used, 0), math.max(heard, used)
    else
      held = math.min(heard - used, 0)
      heard = math.min(heard, used)
    end
    if held < 0 then level, heard, held = level + held, used, 0 end
    out = out + held
    if per_s > 0 then level = math.min(level, amount - out) end
    -- Grant.
    local there = (per_s > 0 and level > 0) and level * (1 + 1e-9) or level
    if need > 0 and there >= need then
      given = need
    elseif need > 0 and least > amount and there >= math.max(amount - out, 1) then
      given = math.min(need, least)
    elseif need > least and there >= least then
      given = math.floor(there / least) * least
    end
    local others = redis.call('ZCOUNT', KEYS[k + 1], '(' .. whole(now), '+inf')
    local mine = redis.call('ZSCORE', KEYS[k + 1], me)
    if not (mine and tonumber(mine) > now) then others = others + 1 end
    if want > 0 and amount >= floor * others then
      spare = math.min(want, math.max(math.floor((level - given) / share), 0))
    end
    level, out, held, granted = level - given - spare, out + spare, held + spare, heard + given + spare
    redis.call('HSET', KEYS[k], 'h:' .. me, whole(seq) .. ' ' .. whole(granted) .. ' ' .. whole(held))
    redis.call('ZADD', KEYS[k + 1], whole(leaves and now or now + lease), me)
  end
  redis.call('HSET', KEYS[k], 'born', born, 'amount', whole(amount), 'level', string.format('%.6f', level), 'out', whole(out),
    'at', whole(now), 'day', whole(day))
  redis.call('PEXPIRE', KEYS[k], kept)
  redis.call('PEXPIRE', KEYS[k + 1], kept)
  local alive = redis.call('ZCOUNT', KEYS[k + 1], '(' .. whole(now), '+inf')
  said[#said + 1] = {whole(granted), whole(held), string.format('%.6f', level), math.max(alive, 1), born}
end
return said

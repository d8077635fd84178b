-- Compare a slot with the finer ones that it is made of: the guard against a server that quietly loses keys.
-- KEYS: the wide slot, then its finer ones. Returns: field, total of the finer ones, total of the wide one, ... where they differ.
local fine, wide, differ = {}, {}, {}
for i, key in ipairs(KEYS) do
  local flat, into = redis.call('HGETALL', key), i == 1 and wide or fine
  for at = 1, #flat, 2 do into[flat[at]] = (into[flat[at]] or 0) + (tonumber(flat[at + 1]) or 0) end
end
for field, total in pairs(fine) do
  if total ~= (wide[field] or 0) then
    for _, part in ipairs({field, string.format('%.0f', total), string.format('%.0f', wide[field] or 0)}) do differ[#differ + 1] = part end
  end
end
for field, total in pairs(wide) do
  if not fine[field] and total ~= 0 then
    for _, part in ipairs({field, '0', string.format('%.0f', total)}) do differ[#differ + 1] = part end
  end
end
return differ

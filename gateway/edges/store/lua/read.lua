-- Read the totals of many slots at once. KEYS: slots. Returns: per slot its fields and amounts, alternating.
local totals = {}
for i, key in ipairs(KEYS) do
  totals[i] = redis.call('HGETALL', key)
end
return totals

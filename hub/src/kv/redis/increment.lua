-- ARGV: key, size, ttl in ms, the most keys, the most bytes, what to add, and what space.lua reads.
local key, size, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('EXISTS', value) == 1 then
  local sum = redis.pcall('INCRBY', value, ARGV[6])
  if type(sum) == 'table' then
    if string.find(sum.err, 'integer') or string.find(sum.err, 'overflow') then
      return {'no counter', false}
    end
    return sum
  end
  -- Read as text: a number of this language has no 64 bits.
  return {'ok', redis.call('GET', value)}
end
if not finds_room(key, size, tonumber(ARGV[4]), tonumber(ARGV[5])) then
  return {'full', false}
end
redis.call('SET', value, ARGV[6], 'PX', ARGV[3])
note(key, size, ttl)
return {'ok', ARGV[6]}

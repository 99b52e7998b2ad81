-- ARGV: key, size, ttl in ms, the most keys, the most bytes, value, and what space.lua reads.
local key, size, ttl = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not finds_room(key, size, tonumber(ARGV[4]), tonumber(ARGV[5])) then
  return 'full'
end
redis.call('SET', value, ARGV[6], 'PX', ARGV[3])
note(key, size, ttl)
return 'ok'

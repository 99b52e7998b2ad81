-- Takes, renews or frees a lease.
--
-- KEYS  1 the lease
-- ARGV  1 who  2 how long it holds (ms); 0 frees it
-- Returns {'mine'}    it is held now, or freed
--         {'theirs'}  somebody else holds it: nothing was done
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {'theirs'}
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return {'mine'}

-- Writes a generation into a bucket (or into the place that names the newest one). A higher number always stays.
--
-- KEYS  1 the generation's hash
-- ARGV  1 number  2 the server's identity  3 when it was opened (ms)  4 'refilling' or 'open'
-- Returns {'open'}
--         {'lower', number}  a higher generation stands there: nothing was done
local standing = redis.call('HGET', KEYS[1], 'generation')
if standing and tonumber(standing) > tonumber(ARGV[1]) then
  return {'lower', standing}
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'identity', ARGV[2], 'opened_at', ARGV[3], 'state', ARGV[4])
return {'open'}

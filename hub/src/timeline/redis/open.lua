-- Writes a generation into a bucket (or into the place that names the newest one). A higher number always stays, and
-- so does the same number of another server.
--
-- KEYS  1 the generation's hash
-- ARGV  1 number  2 the server's identity  3 when it was opened (ms)  4 'refilling' or 'open'
--       5 where the journal ended when everything acknowledged in earlier generations was in it; '' while that is not known
-- Returns {'open'}
--         {'lower', number}  that generation stands there: nothing was done
local standing = redis.call('HMGET', KEYS[1], 'generation', 'identity')
if standing[1] then
  local ours, theirs = tonumber(ARGV[1]), tonumber(standing[1])
  if theirs > ours or (theirs == ours and standing[2] ~= ARGV[2]) then
    return {'lower', standing[1]}
  end
end
if standing[1] ~= ARGV[1] then
  redis.call('DEL', KEYS[1]) -- also which rooms had begun
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'identity', ARGV[2], 'opened_at', ARGV[3], 'state', ARGV[4])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[1], 'end', ARGV[5])
end
return {'open'}

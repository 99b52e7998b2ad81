-- Says which of some events of a room were deleted lately, whether they are in its hot window or not.
--
-- KEYS  1 the bucket's generation  2 the room's deleted ids
-- ARGV  1 generation               2… event ids
-- Returns {'deleted', {id, …}}
--         {'stale'}  another generation has begun
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
local deleted = {}
if redis.call('EXISTS', KEYS[2]) == 1 then
  for i = 2, #ARGV do
    if redis.call('ZSCORE', KEYS[2], ARGV[i]) then
      deleted[#deleted + 1] = ARGV[i]
    end
  end
end
return {'deleted', deleted}

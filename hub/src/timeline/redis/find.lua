-- Finds one event of a room's hot window by its id.
--
-- KEYS  1 the bucket's generation  2 the room's meta  3 its hot window  4 its index (id -> offset)  5 its deleted ids
-- ARGV  1 generation               2 event id
-- Returns {'found', epoch, offset, 'shown' or 'blank', record}
--         {'none'}
--         {'stale'}  another generation has begun
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
local epoch = redis.call('HGET', KEYS[2], 'epoch')
local offset = redis.call('ZSCORE', KEYS[4], ARGV[2])
if epoch ~= ARGV[1] or not offset then
  return {'none'}
end
offset = string.format('%d', tonumber(offset))
local found = redis.call('XRANGE', KEYS[3], offset .. '-0', offset .. '-0')
if #found == 0 then
  return {'none'}
end
local fields = found[1][2]
local blank = redis.call('ZSCORE', KEYS[5], fields[4])
  or (fields[6] ~= '' and redis.call('ZSCORE', KEYS[5], fields[6]))
return {'found', epoch, offset, blank and 'blank' or 'shown', fields[2]}

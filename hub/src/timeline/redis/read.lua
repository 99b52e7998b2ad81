-- Reads a room's position and a part of its hot window, at one moment.
--
-- KEYS  1 the bucket's generation  2 the room's meta  3 its hot window  4 its deleted ids
-- ARGV  1 generation               2 first stream id, included          3 last stream id, included
--       4 'forward' or 'reverse'   5 how many events                6 how many bytes of records: it ends with the event
--                                                                     that reaches them
-- Returns {'window', epoch, offset, oldest offset or '', {{offset, 'shown' or 'blank', record}, …}}
--         {'stale'}  another generation has begun
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'offset')
if meta[1] ~= ARGV[1] then
  return {'window', ARGV[1], '0', '', {}}
end

local function offset_of(entry)
  return string.match(entry[1], '^%d+')
end
local oldest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)
-- A few at a time: what is not wanted for its bytes is not copied.
local found, bytes, most = {}, 0, tonumber(ARGV[6])
local first, last, left = ARGV[2], ARGV[3], tonumber(ARGV[5])
while left > 0 and bytes < most do
  local count, some = math.min(left, 64), nil
  if ARGV[4] == 'reverse' then
    some = redis.call('XREVRANGE', KEYS[3], last, first, 'COUNT', count)
  else
    some = redis.call('XRANGE', KEYS[3], first, last, 'COUNT', count)
  end
  for _, entry in ipairs(some) do
    if bytes < most then
      found[#found + 1] = entry
      bytes = bytes + #entry[2][2]
    end
  end
  if #some < count then
    break
  end
  left = left - count
  if ARGV[4] == 'reverse' then
    last = '(' .. some[#some][1]
  else
    first = '(' .. some[#some][1]
  end
end

local some_deleted = redis.call('EXISTS', KEYS[4]) == 1
local function deleted(id)
  return id ~= '' and redis.call('ZSCORE', KEYS[4], id)
end
local events = {}
for i, entry in ipairs(found) do
  local fields = entry[2]
  local blank = some_deleted and (deleted(fields[4]) or deleted(fields[6]))
  events[i] = {offset_of(entry), blank and 'blank' or 'shown', fields[2]}
end
return {'window', meta[1], meta[2], oldest[1] and offset_of(oldest[1]) or '', events}

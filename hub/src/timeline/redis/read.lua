-- Reads a room's position and a part of its hot window, at one moment.
--
-- KEYS  1 the bucket's generation  2 the room's meta  3 its hot window  4 its deleted ids
-- ARGV  1 generation               2 first stream id, included          3 last stream id, included
--       4 'forward' or 'reverse'   5 how many events
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
local found = {}
if tonumber(ARGV[5]) > 0 then
  if ARGV[4] == 'reverse' then
    found = redis.call('XREVRANGE', KEYS[3], ARGV[3], ARGV[2], 'COUNT', ARGV[5])
  else
    found = redis.call('XRANGE', KEYS[3], ARGV[2], ARGV[3], 'COUNT', ARGV[5])
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

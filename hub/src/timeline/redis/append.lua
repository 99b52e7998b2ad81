-- Appends one event to its room: dedupe, next offset, hot window, pending entry and relay in one atomic step.
-- Asking again with the same id and key is safe: the answer is the same place.
--
-- KEYS  1 the bucket's generation   2 the room's meta           3 its hot window (ids `<offset>-0`)
--       4 its index (id -> offset)  5 its deleted ids           6 the dedupe entry
--       7 the bucket's pending stream                           8 the room's relay channel
-- ARGV  1 generation                2 event id                  3 digest of the draft
--       4 when the key was born (ms; 0 if it does not say)      5 hub
--       6 the record without its place                          7 how many events the window keeps
--       8 how long an idle window stays (ms)                    9 how long a key is remembered (ms)
--       10 what a delete deletes, or ''                         11 what an edit edits, or ''
--       12 a short name of the room
--       13 '1': an earlier generation gave this event a place, and so looked its key up
--       14 how many bytes of records the window keeps
-- Returns {'placed', epoch, offset, pending entry}
--         {'known', state, digest, id, epoch, offset, refusal}  the key is taken: nothing was done
--         {'first', id}       a lost generation knew this draft by that id: come again with it
--         {'refilling'}       whether the key is known is not known yet: nothing was done
--         {'stale'}           another generation has begun: nothing was done
local generation = ARGV[1]
local bucket = redis.call('HMGET', KEYS[1], 'generation', 'state', 'opened_at')
if bucket[1] ~= generation then
  return {'stale'}
end

local known = redis.call('HMGET', KEYS[6], 'state', 'digest', 'id', 'epoch', 'offset', 'refusal', 'generation', 'entry',
  'first_epoch', 'first_offset')
local lost = known[1] == 'pending' and known[7] ~= generation
if known[1] == 'pending' and not lost and known[3] == ARGV[2] then
  return {'placed', known[4], known[5], known[8]}
end
if known[1] and not (lost and known[2] == ARGV[3]) then
  return {'known', known[1], known[2], known[3] or '', known[9] or known[4] or '', known[10] or known[5] or '',
    known[6] or ''}
end
if bucket[2] ~= 'open' and ARGV[13] ~= '1' and tonumber(ARGV[4]) <= tonumber(bucket[3]) then
  return {'refilling'}
end
if lost and known[3] ~= ARGV[2] then
  return {'first', known[3]}
end

local offset
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'large', 'bytes')
if meta[1] == generation then
  offset = string.format('%d', redis.call('HINCRBY', KEYS[2], 'offset', 1))
else
  if redis.call('HSETNX', KEYS[1], 'begun:' .. ARGV[12], 1) == 0 then
    -- The room had begun in this generation, so its position was lost: nobody goes on in it.
    redis.call('HDEL', KEYS[1], 'generation')
    return {'stale'}
  end
  meta = {}
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4]) -- not the deleted ids: the store may not have the deletions of before yet
  redis.call('HSET', KEYS[2], 'epoch', generation, 'offset', 1)
  offset = '1'
end

local keep, age = tonumber(ARGV[7]), tonumber(ARGV[8])
local longer = string.format('%d', age + age / 4)
-- A window is bounded in bytes as well. They are counted only while it may hold an event that is larger than its share.
local size, most = #ARGV[6], tonumber(ARGV[14])
local large, bytes = tonumber(meta[2]), tonumber(meta[3])
if size * keep > most then
  large = tonumber(offset)
  redis.call('HSET', KEYS[2], 'large', offset)
end
if large and tonumber(offset) - large < keep then
  redis.call('XADD', KEYS[3], offset .. '-0', 'record', ARGV[6], 'id', ARGV[2], 'edits', ARGV[11])
  local length = redis.call('XLEN', KEYS[3])
  if bytes and length > 1 then
    bytes = bytes + size
  else
    bytes = 0
    for _, held in ipairs(redis.call('XRANGE', KEYS[3], '-', '+')) do
      bytes = bytes + #held[2][2]
    end
  end
  while length > keep or (length > 1 and bytes > most) do
    bytes = bytes - #redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1][2][2]
    length = length - 1
    redis.call('XTRIM', KEYS[3], 'MAXLEN', '=', length)
  end
  redis.call('HSET', KEYS[2], 'bytes', bytes)
else
  redis.call('XADD', KEYS[3], 'MAXLEN', '=', keep, offset .. '-0', 'record', ARGV[6], 'id', ARGV[2], 'edits', ARGV[11])
  if bytes then
    redis.call('HDEL', KEYS[2], 'large', 'bytes')
  end
end
redis.call('ZADD', KEYS[4], offset, ARGV[2])
if tonumber(offset) % 16 == 0 then -- whoever looks an id up looks into the window as well: now and then will do
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', string.format('%d', tonumber(offset) - keep))
end
if ARGV[10] ~= '' then
  redis.call('ZADD', KEYS[5], redis.call('TIME')[1], ARGV[10]) -- by time: offsets begin again with each generation
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -1 - math.max(keep, 1000)) -- the store may lag behind a small window
  redis.call('PEXPIRE', KEYS[5], longer) -- it outlives the window, whose end is no later
end
-- A window stays for at least its age, and a quarter of it longer at most: so its end need not be moved by every event.
if redis.call('PTTL', KEYS[3]) < age then
  for i = 3, 5 do
    redis.call('PEXPIRE', KEYS[i], longer)
  end
end

local entry = redis.call('XADD', KEYS[7], '*',
  'hub', ARGV[5], 'generation', generation, 'offset', offset, 'record', ARGV[6])
redis.call('HSET', KEYS[6], 'state', 'pending', 'digest', ARGV[3], 'id', ARGV[2], 'epoch', generation,
  'offset', offset, 'generation', generation, 'entry', entry)
redis.call('HDEL', KEYS[6], 'again', 'first_epoch', 'first_offset')
if ARGV[13] == '1' and bucket[2] ~= 'open' then
  redis.call('HSET', KEYS[6], 'again', 1) -- its first place may be in the journal's tail: that is its receipt's (see refill)
end
redis.call('PEXPIRE', KEYS[6], ARGV[9])
redis.call('SPUBLISH', KEYS[8], generation .. ':' .. offset .. ':' .. ARGV[6])
return {'placed', generation, offset, entry}

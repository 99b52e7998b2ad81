-- Takes an event whose record is in the journal off the pending stream, and marks its key as journaled.
--
-- KEYS  1 the bucket's generation  2 the bucket's pending stream  3 the dedupe entry
-- ARGV  1 the generation that must be the bucket's                2 the pending entry
--       3 the generation that the entry was appended in
-- Returns {'done'}
--         {'stale'}  another generation has begun: the entry, if it survived, is gone (its record is in the journal),
--                    but the key is not marked: the event belongs into the new order too
local bucket = redis.call('HGET', KEYS[1], 'generation')
local known = redis.call('HMGET', KEYS[3], 'state', 'entry', 'generation')
-- What the key says was written together with the entry, and ids of entries only rise: then the entry is this one.
local ours = known[2] == ARGV[2] and known[3] == ARGV[3]
if not ours then
  -- The key may be forgotten, or in use anew. The entry may be another's: a lost generation's ids come again.
  local held = redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])
  ours = #held == 1 and held[1][2][4] == ARGV[3]
end
if ours then
  redis.call('XDEL', KEYS[2], ARGV[2])
end
if bucket ~= ARGV[1] then
  return {'stale'}
end
if known[1] == 'pending' and known[2] == ARGV[2] and known[3] == ARGV[3] then
  redis.call('HSET', KEYS[3], 'state', 'journaled')
end
return {'done'}

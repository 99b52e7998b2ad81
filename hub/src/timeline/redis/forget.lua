-- Forgets the position of a room that nobody has spoken in since an older generation: it says nothing any more.
--
-- KEYS  1 the bucket's generation  2 the room's meta
-- ARGV  1 generation
-- Returns {'gone'}
--         {'stands'}  the room has begun in this generation
--         {'stale'}   another generation has begun: nothing was done
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
if redis.call('HGET', KEYS[2], 'epoch') == ARGV[1] then
  return {'stands'}
end
redis.call('DEL', KEYS[2])
return {'gone'}

-- Gives a bucket back the keys that the journal's tail knows. What this generation already knows of a key stays; but an
-- event that it gave a place before its key was given back keeps the place that the journal has first: a receipt names that.
--
-- KEYS  1 the bucket's generation  2 … the dedupe entries
-- ARGV  1 generation, then for each entry: id, epoch, offset, digest, how long to remember it (ms)
-- Returns {'refilled'}
--         {'stale'}  another generation has begun
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
for i = 2, #KEYS do
  local at = 2 + (i - 2) * 5
  local known = redis.call('HMGET', KEYS[i], 'state', 'generation', 'again', 'id', 'first_epoch')
  if not known[1] or (known[1] == 'pending' and known[2] ~= ARGV[1]) then
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'state', 'journaled', 'id', ARGV[at], 'epoch', ARGV[at + 1],
      'offset', ARGV[at + 2], 'digest', ARGV[at + 3], 'generation', ARGV[1])
    redis.call('PEXPIRE', KEYS[i], ARGV[at + 4])
  elseif known[3] and known[4] == ARGV[at] and not known[5] then
    redis.call('HSET', KEYS[i], 'first_epoch', ARGV[at + 1], 'first_offset', ARGV[at + 2])
  end
end
return {'refilled'}

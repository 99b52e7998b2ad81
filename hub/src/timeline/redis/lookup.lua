-- Says what a key is known for. A key that a lost generation left pending counts as new (see append).
--
-- KEYS  1 the bucket's generation  2 the dedupe entry
-- ARGV  1 generation               2 when the key was born (ms; 0 if it does not say)
-- Returns {'known', state, digest, id, epoch, offset, refusal}
--         {'none'}
--         {'refilling'}  whether the key is known is not known yet
--         {'stale'}      another generation has begun
local bucket = redis.call('HMGET', KEYS[1], 'generation', 'state', 'opened_at')
if bucket[1] ~= ARGV[1] then
  return {'stale'}
end
local known = redis.call('HMGET', KEYS[2], 'state', 'digest', 'id', 'epoch', 'offset', 'refusal', 'generation', 'again',
  'first_epoch', 'first_offset')
if known[1] and not (known[1] == 'pending' and known[7] ~= ARGV[1]) then
  if known[8] and bucket[2] ~= 'open' then
    return {'refilling'} -- which place was its first is not known yet
  end
  return {'known', known[1], known[2], known[3] or '', known[9] or known[4] or '', known[10] or known[5] or '',
    known[6] or ''}
end
if bucket[2] ~= 'open' and tonumber(ARGV[2]) <= tonumber(bucket[3]) then
  return {'refilling'}
end
return {'none'}

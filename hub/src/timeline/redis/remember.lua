-- Keeps a refusal for a key, unless the key is known already.
--
-- KEYS  1 the bucket's generation  2 the dedupe entry
-- ARGV  1 generation               2 digest of the draft  3 the refusal as JSON
--       4 how long a key is remembered (ms)               5 when the key was born (ms; 0 if it does not say)
-- Returns {'kept'}
--         {'known', state, digest, id, epoch, offset, refusal}
--         {'refilling'}  whether the key is known is not known yet: nothing was done
--         {'stale'}      another generation has begun: nothing was done
local bucket = redis.call('HMGET', KEYS[1], 'generation', 'state', 'opened_at')
if bucket[1] ~= ARGV[1] then
  return {'stale'}
end
local known = redis.call('HMGET', KEYS[2], 'state', 'digest', 'id', 'epoch', 'offset', 'refusal')
if known[1] then
  return {'known', known[1], known[2], known[3] or '', known[4] or '', known[5] or '', known[6] or ''}
end
if bucket[2] ~= 'open' and tonumber(ARGV[5]) <= tonumber(bucket[3]) then
  return {'refilling'}
end
redis.call('HSET', KEYS[2], 'state', 'refused', 'digest', ARGV[2], 'refusal', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'kept'}

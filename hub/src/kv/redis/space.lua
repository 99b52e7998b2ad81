-- What the scripts share. KEYS: a value, when each key of the space ends, how large each key is and whose ('' is the sum), and
-- how many keys (`k:`) and bytes (`b:`) each sender has. ARGV from 7: for whom a new key counts, their most keys, their most bytes.
local value, ends, sizes, owners = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local owner, own_keys, own_bytes = ARGV[7], tonumber(ARGV[8] or 0), tonumber(ARGV[9] or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- How large a key is, and whose; 0 for one that is not there.
local function noted(key)
  local size, whose = string.match(redis.call('HGET', sizes, key) or '0', '^(%d+):?(.*)$')
  return tonumber(size), whose
end

local function has(whose, what)
  return tonumber(redis.call('HGET', owners, what .. ':' .. whose) or 0)
end

-- Counts keys and bytes for a sender.
local function charge(whose, keys, bytes)
  if whose == '' then
    return -- noted by an older hub
  end
  if redis.call('HINCRBY', owners, 'k:' .. whose, keys) <= 0 then
    redis.call('HDEL', owners, 'k:' .. whose, 'b:' .. whose)
  else
    redis.call('HINCRBY', owners, 'b:' .. whose, bytes)
  end
end

-- Forgets how large a key was.
local function forget(key)
  local size, whose = noted(key)
  redis.call('ZREM', ends, key)
  if redis.call('HDEL', sizes, key) == 1 then
    redis.call('HINCRBY', sizes, '', -size)
    charge(whose, -1, -size)
  end
end

-- Forgets what has expired, but not more than so much: no call may take long.
local function expire(most)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, most)) do
    forget(key)
  end
end

-- Whether a key of this size finds room.
local function fits(key, size, keys_max, bytes_max)
  local old, whose = noted(key)
  local is_new = old == 0
  if is_new then
    whose = owner
  end
  local sum = noted('')
  if (is_new and redis.call('ZCARD', ends) >= keys_max) or sum - old + size > bytes_max then
    return false
  end
  return whose == '' or not ((is_new and has(whose, 'k') >= own_keys) or has(whose, 'b') - old + size > own_bytes)
end

-- The same, after a more thorough look at what has expired.
local function finds_room(key, size, keys_max, bytes_max)
  expire(100)
  if fits(key, size, keys_max, bytes_max) then
    return true
  end
  expire(5000)
  return fits(key, size, keys_max, bytes_max)
end

-- Notes how large a key is, whose, and for how long. What is noted lives as long as the last key.
local function note(key, size, ttl)
  local old, whose = noted(key)
  if old == 0 then
    whose = owner
  end
  redis.call('HINCRBY', sizes, '', size - old)
  redis.call('HSET', sizes, key, whose == '' and size or size .. ':' .. whose)
  charge(whose, old == 0 and 1 or 0, size - old)
  redis.call('ZADD', ends, now + ttl, key)
  for _, name in ipairs({ends, sizes, owners}) do
    if redis.call('PTTL', name) < ttl then
      redis.call('PEXPIRE', name, ttl)
    end
  end
end

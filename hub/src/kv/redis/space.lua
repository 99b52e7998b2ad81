-- What the scripts share. KEYS: a value, when each key of the space ends, how large each key is ('' is the sum).
local value, ends, sizes = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function size_of(key)
  return tonumber(redis.call('HGET', sizes, key) or 0)
end

-- Forgets how large a key was.
local function forget(key)
  local size = size_of(key)
  redis.call('ZREM', ends, key)
  if redis.call('HDEL', sizes, key) == 1 then
    redis.call('HINCRBY', sizes, '', -size)
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
  local old = size_of(key)
  local has_place = old > 0 or redis.call('ZCARD', ends) < keys_max
  return has_place and size_of('') - old + size <= bytes_max
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

-- Notes how large a key is, and for how long. What is noted lives as long as the last key.
local function note(key, size, ttl)
  redis.call('HINCRBY', sizes, '', size - size_of(key))
  redis.call('HSET', sizes, key, size)
  redis.call('ZADD', ends, now + ttl, key)
  for _, name in ipairs({ends, sizes}) do
    if redis.call('PTTL', name) < ttl then
      redis.call('PEXPIRE', name, ttl)
    end
  end
end


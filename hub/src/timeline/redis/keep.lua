-- A session listens to a room. KEYS: the room's listeners. ARGV: the session's name, what is shown of it, how long that
-- holds unless it is said again, in milliseconds.
local now = redis.call('TIME')
local till = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', till) .. ':' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
return 1

-- Who listens to a room; forgets those whose hub has not said so for too long. KEYS: the room's listeners.
local now = redis.call('TIME')
local time = now[1] * 1000 + math.floor(now[2] / 1000)
local all, shown = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do
  local till, who = string.match(all[at + 1], '^(%d+):(.*)$')
  if till and tonumber(till) > time then
    shown[#shown + 1] = who
  else
    redis.call('HDEL', KEYS[1], all[at])
  end
end
return shown

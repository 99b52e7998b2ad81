-- Some of those who listen to a room; forgets those whose hub has not said so for too long.
--
-- KEYS  1 the room's listeners
-- ARGV  1 the cursor of the scan, 0 at its beginning   2 about how many
-- Returns {cursor, 0 at the end; how many listen, about; {who, …}}
local now = redis.call('TIME')
local time = now[1] * 1000 + math.floor(now[2] / 1000)
local scan = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local found, shown = scan[2], {}
for at = 1, #found, 2 do
  local till, who = string.match(found[at + 1], '^(%d+):(.*)$')
  if till and tonumber(till) > time then
    shown[#shown + 1] = who
  else
    redis.call('HDEL', KEYS[1], found[at])
  end
end
return {scan[1], redis.call('HLEN', KEYS[1]), shown}

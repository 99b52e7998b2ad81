-- Looks through a part of a bucket's pending stream for entries that somebody else must journal: those of dead hubs,
-- and those older than a journal's client ever waits. Only the holder of the bucket's short lease may.
--
-- KEYS  1 the bucket's generation  2 the sweeper's lease  3 the bucket's pending stream
-- ARGV  1 generation               2 this hub             3 how long the lease holds (ms)
--       4 the oldest that an entry may be (ms)            5 where to begin ('-' or '(' and an entry)
--       6 how many entries to look at                     7 … the dead hubs
-- Returns {'swept', where to go on, {hub, …}, {{entry, generation, offset, record}, …}}
--         {'busy'}   another hub sweeps this bucket
--         {'stale'}  another generation has begun
if redis.call('HGET', KEYS[1], 'generation') ~= ARGV[1] then
  return {'stale'}
end
if redis.call('XLEN', KEYS[3]) == 0 then
  return {'swept', '-', {}, {}}
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] then
  return {'busy'}
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])

local dead = {}
for i = 7, #ARGV do
  dead[ARGV[i]] = true
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local seen, hubs, due = {}, {}, {}
local entries = redis.call('XRANGE', KEYS[3], ARGV[5], '+', 'COUNT', ARGV[6])
for _, entry in ipairs(entries) do
  local fields = entry[2]
  local hub = fields[2]
  if not seen[hub] then
    seen[hub] = true
    hubs[#hubs + 1] = hub
  end
  local age = now - tonumber(string.match(entry[1], '^%d+'))
  if dead[hub] or age > tonumber(ARGV[4]) then
    due[#due + 1] = {entry[1], fields[4], fields[6], fields[8]}
  end
end
local next_start = '-'
if #entries == tonumber(ARGV[6]) then
  next_start = '(' .. entries[#entries][1]
end
return {'swept', next_start, hubs, due}

-- Removes what waits. What is in flight, and retries that are not due, stay.
-- KEYS  1 queue    list of bodies
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 suspects sorted set of the ids whose consumer died
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first", of messages that were handled before
--       6 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 how many of those beside the list, at most 1000
-- Gives how many there were.
local room = tonumber(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local removed = redis.call('LLEN', KEYS[1])
redis.call('UNLINK', KEYS[1], KEYS[6])

local function remove_aside(set, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', set, id)
    redis.call('HDEL', KEYS[4], id)
    redis.call('HDEL', KEYS[5], id)
    removed = removed + 1
  end
end

remove_aside(KEYS[2], redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, room))
remove_aside(KEYS[3], redis.call('ZRANGE', KEYS[3], 0, room - 1))
return removed

-- Moves what waits to the tail of another queue, as new messages.
-- KEYS  1 queue    list of bodies
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 suspects sorted set of the ids whose consumer died
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first", of messages that were handled before
--       6 to       list of bodies, the other queue
-- ARGV  1 how many, at most 1000
-- Gives how many there were.
local room = tonumber(ARGV[1])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local moved = 0

local function move_aside(set, ids)
  for _, id in ipairs(ids) do
    local body = redis.call('HGET', KEYS[4], id)
    if body then
      redis.call('RPUSH', KEYS[6], body)
      moved = moved + 1
    end
    redis.call('ZREM', set, id)
    redis.call('HDEL', KEYS[4], id)
    redis.call('HDEL', KEYS[5], id)
  end
end

move_aside(KEYS[2], redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, room))
while moved < room and redis.call('LMOVE', KEYS[1], KEYS[6], 'LEFT', 'RIGHT') do
  moved = moved + 1
end
if moved < room then
  move_aside(KEYS[3], redis.call('ZRANGE', KEYS[3], 0, room - moved - 1))
end
return moved

-- Moves what waits to the tail of another queue, as new messages.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside, which stand before the list
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 to       list of bodies, the other queue
-- ARGV  1 how many, at most 1000
-- Returns how many there were.
local wrong = wrong_type({'list', 'list', 'zset', 'zset', 'hash', 'hash', 'list'})
if wrong then
  return wrong
end
begin_writing(KEYS[6])
local room = tonumber(ARGV[1])
local moved = 0

local function move_aside(set, ids)
  for _, id in ipairs(ids) do
    local body = redis.call('HGET', KEYS[5], id)
    if body then
      redis.call('RPUSH', KEYS[7], body)
      moved = moved + 1
    end
    redis.call('ZREM', set, id)
    redis.call('HDEL', KEYS[5], id)
    redis.call('HDEL', KEYS[6], id)
  end
end

move_aside(KEYS[3], redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now(), 'LIMIT', 0, room))
for _, list in ipairs({KEYS[2], KEYS[1]}) do
  while moved < room and redis.call('LMOVE', list, KEYS[7], 'LEFT', 'RIGHT') do
    moved = moved + 1
  end
end
if moved < room then
  move_aside(KEYS[4], redis.call('ZRANGE', KEYS[4], 0, room - moved - 1))
end
return moved

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
local keys = {later = KEYS[5], meta = KEYS[6]}
local room = tonumber(ARGV[1])
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now(), 'LIMIT', 0, room)
local moved = move_later(keys, KEYS[3], due, KEYS[7])
for _, list in ipairs({KEYS[2], KEYS[1]}) do
  while moved < room and redis.call('LMOVE', list, KEYS[7], 'LEFT', 'RIGHT') do
    moved = moved + 1
  end
end
if moved < room then
  local suspects = redis.call('ZRANGE', KEYS[4], 0, room - moved - 1)
  moved = moved + move_later(keys, KEYS[4], suspects, KEYS[7])
end
return moved

-- Returns messages that are kept beside the list to the list, as messages that were never handled, so that a program that
-- knows nothing but the list can take them. Dead consumers have been recovered before.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 ids      counter of ids
--       8 leases   sorted set: consumer → when its lease ends
-- ARGV  1 how many, at most 1000
-- Returns {how many there were, how many consumers have died and are not recovered yet}; {-1, 0} if a consumer lives, and nothing
-- is done then. With the last ones go the records themselves.
local wrong = wrong_type({'list', 'list', 'zset', 'zset', 'hash', 'hash', 'string', 'zset'})
if wrong then
  return wrong
end
if redis.call('ZCOUNT', KEYS[8], '(' .. string.format('%.0f', now()), '+inf') > 0 then
  return {-1, 0}
end
begin_writing(KEYS[6])
local keys = {later = KEYS[5], meta = KEYS[6]}
local room, released = tonumber(ARGV[1]), redis.call('LLEN', KEYS[2])
move_to_head(KEYS[2], KEYS[1])
for _, set in ipairs({KEYS[4], KEYS[3]}) do
  if released < room then
    local ids = redis.call('ZRANGE', set, 0, room - released - 1)
    released = released + move_later(keys, set, ids, KEYS[1])
  end
end
local dead = redis.call('ZCARD', KEYS[8])
if dead == 0 and redis.call('EXISTS', KEYS[3], KEYS[4], KEYS[5]) == 0 then
  redis.call('UNLINK', KEYS[6], KEYS[7])
end
return {released, dead}

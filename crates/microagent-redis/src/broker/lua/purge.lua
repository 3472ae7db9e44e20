-- Removes what waits. What is in flight, and retries that are not due, stay.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 how many, at most 1000
-- Returns how many there were: retries that are due first, then the list, then suspects.
local wrong = wrong_type({'list', 'list', 'zset', 'zset', 'hash', 'hash', 'hash'})
if wrong then
  return wrong
end
local keys = {later = KEYS[5], meta = KEYS[6]}
local room, removed = tonumber(ARGV[1]), 0

local function remove_all(set, ids)
  for _, id in ipairs(ids) do
    remove_later(keys, set, id)
  end
  removed = removed + #ids
end

remove_all(KEYS[3], redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now(), 'LIMIT', 0, room))
for _, list in ipairs({KEYS[2], KEYS[1]}) do
  local count = math.min(room - removed, redis.call('LLEN', list))
  if count > 0 then
    redis.call('LTRIM', list, count, -1)
    removed = removed + count
  end
end
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then
  redis.call('UNLINK', KEYS[7])
end
if removed < room then
  remove_all(KEYS[4], redis.call('ZRANGE', KEYS[4], 0, room - removed - 1))
end
return removed

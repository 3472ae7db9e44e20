-- Removes what waits. What is in flight, and retries that are not due, stay.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 how many of those beside the list, at most 1000
-- Returns how many there were.
local wrong = wrong_type({'list', 'list', 'zset', 'zset', 'hash', 'hash', 'hash'})
if wrong then
  return wrong
end
local room = tonumber(ARGV[1])
local removed = redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2])
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[7])

local function remove_aside(set, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', set, id)
    redis.call('HDEL', KEYS[5], id)
    redis.call('HDEL', KEYS[6], id)
    removed = removed + 1
  end
end

remove_aside(KEYS[3], redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now(), 'LIMIT', 0, room))
remove_aside(KEYS[4], redis.call('ZRANGE', KEYS[4], 0, room - 1))
return removed

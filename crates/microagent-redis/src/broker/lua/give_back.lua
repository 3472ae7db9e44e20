-- Gives a message back that nobody has handled: to the head of the list, or, where it was handled before, to those that are
-- due now.
-- KEYS  1 queue    list of bodies
--       2 taken    hash: id → body, what the consumer has in flight
--       3 due      sorted set: id → when it is delivered again
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first"
--       6 suspects sorted set: id → when its consumer was found dead
-- ARGV  the ids, those that go to the head first last
-- Gives how many were still in flight.
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('HDEL', KEYS[5], '')
local given = 0
for _, id in ipairs(ARGV) do
  local body = redis.call('HGET', KEYS[2], id)
  if body then
    given = given + 1
    local meta = redis.call('HGET', KEYS[5], id)
    if not meta then
      redis.call('LPUSH', KEYS[1], body)
    else
      redis.call('HSET', KEYS[4], id, body)
      local suspected = string.match(meta .. ' ', '^%d+ 0 ') == nil
      redis.call('ZADD', suspected and KEYS[6] or KEYS[3], 0, id)
    end
    redis.call('HDEL', KEYS[2], id)
  end
end
return given

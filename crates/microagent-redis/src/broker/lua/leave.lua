-- A consumer ends in peace: what it still has in flight goes back to the queue, and its lease ends.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside for this consumer
--       3 taken    hash: id → body, what this consumer has in flight
--       4 due      sorted set: id → when it is delivered again
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first"
--       7 leases   sorted set: consumer → when its lease ends
--       8 suspects sorted set: id → when its consumer was found dead
-- ARGV  1 consumer
--       2 `unless_busy`: only where it has nothing in flight, and 0 is given where it has
-- Gives 1.
if ARGV[2] == 'unless_busy' and redis.call('HLEN', KEYS[3]) > 0 then
  return 0
end
local ids = redis.call('HKEYS', KEYS[3])
table.sort(ids, function(a, b) return tonumber(a) > tonumber(b) end)
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('HDEL', KEYS[6], '')
while redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') do
end
for _, id in ipairs(ids) do
  local body = redis.call('HGET', KEYS[3], id)
  local meta = redis.call('HGET', KEYS[6], id)
  if not meta then
    redis.call('LPUSH', KEYS[1], body)
  else
    redis.call('HSET', KEYS[5], id, body)
    local suspected = string.match(meta .. ' ', '^%d+ 0 ') == nil
    redis.call('ZADD', suspected and KEYS[8] or KEYS[4], 0, id)
  end
end
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[7], ARGV[1])
return 1

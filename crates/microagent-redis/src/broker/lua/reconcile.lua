-- Compares what a consumer has in flight with what it knows of, and gives the rest back: messages that were taken by a call
-- whose reply was lost. A consumer that ends leaves, too, if it has nothing else in flight.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 taken    hash: id → body, what this consumer has in flight
--       4 due      sorted set: id → when it is delivered again
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first"
--       7 suspects sorted set: id → when its consumer was found dead
--       8 bad      hash: id → body, of messages whose records are unreadable
--       9 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 `leave` or `stay`
--       3 … the ids that the consumer knows of
-- Returns {how many were given back, 1 if the consumer has left}.
local wrong = wrong_type({'list', 'list', 'hash', 'zset', 'hash', 'hash', 'zset', 'hash', 'zset'})
if wrong then
  return wrong
end
local keys = {
  queue = KEYS[1], taken = KEYS[3], due = KEYS[4], later = KEYS[5], meta = KEYS[6], suspects = KEYS[7], bad = KEYS[8]
}
local known, unknown, left = {}, {}, 0
for i = 3, #ARGV do
  known[ARGV[i]] = true
end
for _, id in ipairs(redis.call('HKEYS', keys.taken)) do
  if known[id] then
    left = left + 1
  else
    unknown[#unknown + 1] = id
  end
end
-- The oldest goes to the head last.
table.sort(unknown, function(a, b)
  if #a ~= #b then
    return #a > #b
  end
  return a > b
end)
begin_writing(keys.meta)
local leaves = ARGV[2] == 'leave' and left == 0
if leaves then
  move_to_head(KEYS[2], keys.queue)
end
local given = give_back(keys, unknown)
if leaves then
  redis.call('ZREM', KEYS[9], ARGV[1])
end
return {given, leaves and 1 or 0}

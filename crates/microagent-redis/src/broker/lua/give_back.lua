-- Gives messages back that nobody has handled.
-- KEYS  1 queue    list of bodies
--       2 taken    hash: id → body, what the consumer has in flight
--       3 due      sorted set: id → when it is delivered again
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first"
--       6 suspects sorted set: id → when its consumer was found dead
--       7 bad      hash: id → body, of messages whose records are unreadable
--       8 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 … the ids; those that go to the head first are last
-- Returns {how many were in flight, 1 if the consumer has its lease, {the ids that were not in flight}}.
local wrong = wrong_type({'list', 'hash', 'zset', 'hash', 'hash', 'zset', 'hash', 'zset'})
if wrong then
  return wrong
end
local keys = {
  queue = KEYS[1], taken = KEYS[2], due = KEYS[3], later = KEYS[4], meta = KEYS[5], suspects = KEYS[6], bad = KEYS[7]
}
begin_writing(keys.meta)
local ids = {}
for i = 2, #ARGV do
  ids[#ids + 1] = ARGV[i]
end
local given, missing = give_back(keys, ids)
return {given, redis.call('ZSCORE', KEYS[8], ARGV[1]) and 1 or 0, missing}

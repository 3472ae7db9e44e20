-- Takes over from a dead consumer: what it had in flight are suspects now; what it had only put aside goes back.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside for the dead consumer
--       3 taken    hash: id → body, what the dead consumer had in flight
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first"
--       6 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
--       7 suspects sorted set: id → when its consumer was found dead
-- ARGV  1 consumer
--       2 the end of its lease as it was seen; a lease that has changed since is left alone
-- Gives how many suspects there are more; -1 when the consumer lives, or another has recovered it.
local seen = redis.call('ZSCORE', KEYS[6], ARGV[1])
if not seen or tonumber(seen) ~= tonumber(ARGV[2]) then
  return -1
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('HDEL', KEYS[5], '')
while redis.call('LMOVE', KEYS[2], KEYS[1], 'RIGHT', 'LEFT') do
end
local ids = redis.call('HKEYS', KEYS[3])
for _, id in ipairs(ids) do
  local attempt, crashes, rest = string.match(redis.call('HGET', KEYS[5], id) or '1 0', '^(%d+) (%d+)(.*)$')
  redis.call('HSET', KEYS[4], id, redis.call('HGET', KEYS[3], id))
  redis.call('HSET', KEYS[5], id, attempt .. ' ' .. (crashes + 1) .. rest)
  redis.call('ZADD', KEYS[7], now, id)
end
redis.call('DEL', KEYS[3])
redis.call('ZREM', KEYS[6], ARGV[1])
return #ids

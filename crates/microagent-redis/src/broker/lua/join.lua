-- Begins or prolongs a consumer's lease: it runs from now on.
-- KEYS  1 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
--       2 taken    hash: id → body, what the consumer has in flight
--       3 ids      counter of ids, which exists since the first message was taken
-- ARGV  1 consumer
--       2 how long the lease lasts, in ms
--       3 `new` for a consumer that appears; otherwise a lease that is gone stays gone
-- Returns 1; 0 if the lease is gone, and with it what the consumer had in flight; -1 if all that the server knew of the queue
-- is gone as well. Only the lease being gone (`leases` was deleted) is repaired: nobody has recovered what is in flight.
local wrong = wrong_type({'zset', 'hash', 'string'})
if wrong then
  return wrong
end
if ARGV[3] ~= 'new' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('EXISTS', KEYS[2]) == 0 then
  return redis.call('EXISTS', KEYS[3]) - 1
end
-- As `begin_writing`, for a full memory.
redis.call('ZREM', KEYS[1], '')
redis.call('ZADD', KEYS[1], now() + ARGV[2], ARGV[1])
return 1

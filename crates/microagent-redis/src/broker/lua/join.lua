-- A consumer appears, or says that it lives: its lease runs from now on.
-- KEYS  1 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
-- ARGV  1 consumer
--       2 how long the lease lasts, in ms
--       3 `new` for a consumer that appears; otherwise a lease that is gone stays gone
-- Gives 1; 0 when the lease is gone, and with it what the consumer had in flight.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[3] ~= 'new' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return 0
end
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('ZREM', KEYS[1], '')
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return 1

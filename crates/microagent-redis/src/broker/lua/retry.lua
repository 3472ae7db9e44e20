-- Puts a message aside until its retry is due.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 later    hash: id → body, of everything in `due` and `suspects`
--       4 meta     hash: id → "attempt crashes first"
-- ARGV  1 id
--       2 how long to wait, in ms
--       3 its meta from now on
-- Gives 1; 0 when the message was not in flight any more.
local body = redis.call('HGET', KEYS[1], ARGV[1])
if not body then
  return 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('HDEL', KEYS[4], '')
redis.call('HSET', KEYS[3], ARGV[1], body)
redis.call('HSET', KEYS[4], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1

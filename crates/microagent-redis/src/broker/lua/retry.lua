-- Puts a message aside until its retry is due.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 later    hash: id → body, of everything in `due` and `suspects`
--       4 meta     hash: id → "attempt crashes first"
--       5 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 id
--       3 how long to wait, in ms
--       4 its meta from now on
-- Returns {1 if it is put aside, 1 if the consumer has its lease}.
local wrong = wrong_type({'hash', 'zset', 'hash', 'hash', 'zset'})
if wrong then
  return wrong
end
local alive = redis.call('ZSCORE', KEYS[5], ARGV[1]) and 1 or 0
if redis.call('HGET', KEYS[4], ARGV[2]) == ARGV[4] then
  -- An earlier call did it, whose reply was lost. The message may be in flight again, as its next attempt.
  return {1, alive}
end
local body = redis.call('HGET', KEYS[1], ARGV[2])
if not body then
  return {0, alive}
end
begin_writing(KEYS[4])
redis.call('HSET', KEYS[3], ARGV[2], body)
redis.call('HSET', KEYS[4], ARGV[2], ARGV[4])
redis.call('ZADD', KEYS[2], now() + ARGV[3], ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[2])
return {1, alive}

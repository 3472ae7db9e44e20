-- Moves a message to the queue of dead letters, with the reason beside it.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 meta     hash: id → "attempt crashes first"
--       3 dead     list of bodies, a queue like any other
--       4 why      hash: SHA-1 of a body → why it is a dead letter, as JSON; equal bodies share the latest reason
-- ARGV  1 id
--       2 the reason, as JSON
-- Gives 1; 0 when the message was not in flight any more.
local body = redis.call('HGET', KEYS[1], ARGV[1])
if not body then
  return 0
end
-- A write that changes nothing and is allowed when the memory is full. After it the others are too: what moves needs no more
-- memory, and what waits must be handled for there to be less of it.
redis.call('HDEL', KEYS[2], '')
-- What can fail comes before what removes the message from where it was.
if redis.call('LLEN', KEYS[3]) == 0 then
  -- The reasons that are left are of letters that somebody took.
  redis.call('DEL', KEYS[4])
end
redis.call('RPUSH', KEYS[3], body)
redis.call('HSET', KEYS[4], redis.sha1hex(body), ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return 1

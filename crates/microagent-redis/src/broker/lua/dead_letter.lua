-- Moves a message to the queue of dead letters, with the reason beside it.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight; or the bodies whose records are unreadable
--       2 meta     hash: id → "attempt crashes first"
--       3 dead     list of bodies, a queue like any other
--       4 why      hash: SHA-1 of a body → why it is a dead letter, as JSON; equal bodies share the latest reason
--       5 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 id
--       3 the reason, as JSON
-- Returns {1 if the message was in flight, 1 if the consumer has its lease}.
local wrong = wrong_type({'hash', 'hash', 'list', 'hash', 'zset'})
if wrong then
  return wrong
end
local alive = redis.call('ZSCORE', KEYS[5], ARGV[1]) and 1 or 0
local body = redis.call('HGET', KEYS[1], ARGV[2])
if not body then
  return {0, alive}
end
begin_writing(KEYS[2])
if redis.call('LLEN', KEYS[3]) == 0 then
  -- The reasons that are left belong to dead letters that somebody took.
  redis.call('DEL', KEYS[4])
end
redis.call('RPUSH', KEYS[3], body)
redis.call('HSET', KEYS[4], redis.sha1hex(body), ARGV[3])
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[2])
return {1, alive}

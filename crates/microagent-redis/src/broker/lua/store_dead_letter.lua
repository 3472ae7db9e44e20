-- Puts a body into a queue of dead letters, with the reason beside it: the half of dead_letter.lua that a cluster allows, whose
-- scripts use the keys of one queue. It runs first, so that a crash between the halves duplicates a message and does not lose it.
-- KEYS  1 dead     list of bodies, a queue like any other
--       2 why      hash: SHA-1 of a body → why it is a dead letter, as JSON; equal bodies share the latest reason
-- ARGV  1 the body
--       2 the reason, as JSON
local wrong = wrong_type({'list', 'hash'})
if wrong then
  return wrong
end
if redis.call('LLEN', KEYS[1]) == 0 then
  -- The reasons that are left belong to dead letters that somebody took.
  redis.call('DEL', KEYS[2])
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], redis.sha1hex(ARGV[1]), ARGV[2])

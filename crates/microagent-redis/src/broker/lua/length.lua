-- Returns how many messages wait: those in the list and put aside from it, retries that are due, and suspects.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
local wrong = wrong_type({'list', 'list', 'zset', 'zset'})
if wrong then
  return wrong
end
return redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]) + redis.call('ZCOUNT', KEYS[3], '-inf', now())
  + redis.call('ZCARD', KEYS[4])

-- How many messages wait: those in the list, retries that are due, and suspects.
-- KEYS  1 queue    list of bodies
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 suspects sorted set of the ids whose consumer died
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('LLEN', KEYS[1]) + redis.call('ZCOUNT', KEYS[2], '-inf', now) + redis.call('ZCARD', KEYS[3])

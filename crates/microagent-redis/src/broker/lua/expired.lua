-- The consumers whose leases have ended.
-- KEYS  1 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
-- Gives {consumer, end, …}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES')

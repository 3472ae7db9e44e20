-- Returns the consumers whose leases have ended: {consumer, end, …}.
-- KEYS  1 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
local wrong = wrong_type({'zset'})
if wrong then
  return wrong
end
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now(), 'WITHSCORES')

-- Takes a key for a holder, or prolongs the holder's lease.
-- KEYS  1 lease    string: the holder; it expires when the lease ends
-- ARGV  1 holder
--       2 how long the lease lasts, in ms
-- Returns {1, 0} if the holder has it now, else {0, ms until the other's lease ends, or -1 for never}.
local wrong = wrong_type({'string'})
if wrong then
  return wrong
end
local has = redis.call('GET', KEYS[1])
if has and has ~= ARGV[1] then
  return {0, redis.call('PTTL', KEYS[1])}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, 0}

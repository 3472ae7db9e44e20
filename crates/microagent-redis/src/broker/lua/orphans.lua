-- Looks through a part of the server's keys for consumers that have something in flight and no lease.
-- KEYS  1 leases   sorted set: consumer → when its lease ends
-- ARGV  1 where to go on, `0` at first
--       2 the pattern of the names of this queue's keys
--       3 how these names begin
-- Returns {where to go on, or `0` at the end, {consumer, …}}.
local wrong = wrong_type({'zset'})
if wrong then
  return wrong
end
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', 500)
local consumers = {}
for _, key in ipairs(page[2]) do
  local name = string.sub(key, #ARGV[3] + 1)
  local consumer = string.match(name, '^taken:(.+)$') or string.match(name, '^inbox:(.+)$')
  if consumer and not redis.call('ZSCORE', KEYS[1], consumer) then
    consumers[#consumers + 1] = consumer
  end
end
return {page[1], consumers}

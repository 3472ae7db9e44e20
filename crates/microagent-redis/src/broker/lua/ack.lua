-- Removes handled messages.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 meta     hash: id → "attempt crashes first", of messages that were handled before
--       3 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 … the ids
-- Returns {how many were in flight, 1 if the consumer has its lease, {the ids that were not in flight}}. The record of a
-- message that was not in flight belongs to the consumer that has it now, and is not removed.
local wrong = wrong_type({'hash', 'hash', 'zset'})
if wrong then
  return wrong
end
local removed, missing = {}, {}
for i = 2, #ARGV do
  if redis.call('HDEL', KEYS[1], ARGV[i]) == 1 then
    removed[#removed + 1] = ARGV[i]
  else
    missing[#missing + 1] = ARGV[i]
  end
end
if #removed > 0 then
  redis.call('HDEL', KEYS[2], unpack(removed))
end
return {#removed, redis.call('ZSCORE', KEYS[3], ARGV[1]) and 1 or 0, missing}

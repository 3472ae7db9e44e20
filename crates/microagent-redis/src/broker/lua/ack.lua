-- Removes handled messages.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 meta     hash: id → "attempt crashes first", of messages that were handled before
--       3 leases   sorted set: consumer → when its lease ends
-- ARGV  1 consumer
--       2 `again` if some of the ids may have been removed by an earlier call whose reply was lost
--       3 … the ids
-- Returns {how many were in flight, 1 if the consumer has its lease}. The record of a message that was not in flight belongs
-- to the consumer that has it now, and is left alone.
local wrong = wrong_type({'hash', 'hash', 'zset'})
if wrong then
  return wrong
end
local ids = {}
for i = 3, #ARGV do
  if ARGV[2] ~= 'again' or redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then
    ids[#ids + 1] = ARGV[i]
  end
end
local removed = 0
if #ids > 0 then
  removed = redis.call('HDEL', KEYS[1], unpack(ids))
  if removed == #ids then
    redis.call('HDEL', KEYS[2], unpack(ids))
  end
end
return {removed, redis.call('ZSCORE', KEYS[3], ARGV[1]) and 1 or 0}

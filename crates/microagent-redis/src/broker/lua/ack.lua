-- Removes handled messages.
-- KEYS  1 taken    hash: id → body, what the consumer has in flight
--       2 meta     hash: id → "attempt crashes first", of messages that were handled before
-- ARGV  the ids
-- Gives how many were in flight. The others are not this consumer's any more, because its lease had ended; what is known of
-- them belongs to whoever has them now, and is left alone.
local removed = redis.call('HDEL', KEYS[1], unpack(ARGV))
if removed == #ARGV then
  redis.call('HDEL', KEYS[2], unpack(ARGV))
end
return removed

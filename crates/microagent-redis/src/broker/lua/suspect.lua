-- Takes the suspect that has waited longest: a message whose consumer died while it was in flight.
-- KEYS  1 taken    hash: id → body, what this consumer has in flight
--       2 later    hash: id → body, of everything in `due` and `suspects`
--       3 meta     hash: id → "attempt crashes first"
--       4 leases   sorted set: consumer → when its lease ends
--       5 suspects sorted set: id → when its consumer was found dead
-- ARGV  1 consumer
-- Gives {'lost'} when the consumer's lease is gone, {} when no suspect waits, else {'ok', id, meta, body}.
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return {'lost'}
end
while true do
  local id = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
  if not id then
    return {}
  end
  local body = redis.call('HGET', KEYS[2], id)
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[2], id)
  if body then
    redis.call('HSET', KEYS[1], id, body)
    return {'ok', id, redis.call('HGET', KEYS[3], id) or '', body}
  end
end

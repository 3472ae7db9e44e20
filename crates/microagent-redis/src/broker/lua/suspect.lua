-- Takes the suspect that has waited longest: a message whose consumer died while it was in flight.
-- KEYS  1 taken    hash: id → body, what this consumer has in flight
--       2 later    hash: id → body, of everything in `due` and `suspects`
--       3 meta     hash: id → "attempt crashes first"
--       4 leases   sorted set: consumer → when its lease ends
--       5 suspects sorted set: id → when its consumer was found dead
--       6 bad      hash: id → body, of messages whose records are unreadable
-- ARGV  1 consumer
-- Returns {'lost'} if the consumer's lease is gone, {} if no suspect waits, else {'ok', id, meta, body}. Entries that belong to
-- no body are removed.
local wrong = wrong_type({'hash', 'hash', 'hash', 'zset', 'zset', 'hash'})
if wrong then
  return wrong
end
if not redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  return {'lost'}
end
begin_writing(KEYS[3])
while true do
  local id = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
  if not id then
    return {}
  end
  local body, meta = redis.call('HGET', KEYS[2], id), redis.call('HGET', KEYS[3], id)
  local is_readable = is_id(id) and read_meta(meta)
  if body and is_readable then
    redis.call('HSET', KEYS[1], id, body)
  elseif body then
    keep_bad(KEYS[6], id, body)
  end
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[2], id)
  if body and is_readable then
    return {'ok', id, meta or '', body}
  end
end

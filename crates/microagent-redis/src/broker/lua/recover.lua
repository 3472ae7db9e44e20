-- Takes over from a dead consumer: what it had in flight are suspects now; what was only put aside goes back.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 inbox:ID list: the same, of this consumer alone, as in earlier versions
--       4 taken    hash: id → body, what the dead consumer had in flight
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first"
--       7 leases   sorted set: consumer → when its lease ends, in ms of the server's clock
--       8 suspects sorted set: id → when its consumer was found dead
--       9 bad      hash: id → body, of messages whose records are unreadable
-- ARGV  1 consumer
--       2 the end of its lease as it was seen, or empty if it had none; if that has changed since, nothing is done
-- Returns how many suspects there are more; -1 if the consumer lives, or another one has recovered it.
local wrong = wrong_type({'list', 'list', 'list', 'hash', 'hash', 'hash', 'zset', 'zset', 'hash'})
if wrong then
  return wrong
end
local seen = redis.call('ZSCORE', KEYS[7], ARGV[1])
if (seen and tonumber(seen)) ~= (ARGV[2] ~= '' and tonumber(ARGV[2])) then
  return -1
end
begin_writing(KEYS[6])
move_to_head(KEYS[2], KEYS[1])
move_to_head(KEYS[3], KEYS[1])
local time, suspects = now(), 0
for _, id in ipairs(redis.call('HKEYS', KEYS[4])) do
  local body = redis.call('HGET', KEYS[4], id)
  local attempt, crashes, rest = read_meta(redis.call('HGET', KEYS[6], id))
  if attempt and is_id(id) then
    redis.call('HSET', KEYS[5], id, body)
    redis.call('HSET', KEYS[6], id, attempt .. ' ' .. (crashes + 1) .. rest)
    redis.call('ZADD', KEYS[8], time, id)
    suspects = suspects + 1
  else
    keep_bad(KEYS[9], id, body)
  end
end
redis.call('DEL', KEYS[4])
redis.call('ZREM', KEYS[7], ARGV[1])
return suspects

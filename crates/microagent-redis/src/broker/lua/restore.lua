-- Looks through a part of the messages that are set aside for some that are in no order of waiting, because somebody removed
-- `due` or `suspects`, and lets them wait again.
-- KEYS  1 later    hash: id → body, of everything in `due` and `suspects`
--       2 due      sorted set: id → when it is delivered again
--       3 suspects sorted set: id → when its consumer was found dead
--       4 meta     hash: id → "attempt crashes first"
-- ARGV  1 where to go on, `0` at first
-- Returns {where to go on, or `0` at the end, how many wait again}.
local wrong = wrong_type({'hash', 'zset', 'zset', 'hash'})
if wrong then
  return wrong
end
if redis.call('HLEN', KEYS[1]) <= redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) then
  return {'0', 0}
end
local page, restored = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 100), 0
begin_writing(KEYS[4])
for i = 1, #page[2], 2 do
  local id = page[2][i]
  if not redis.call('ZSCORE', KEYS[2], id) and not redis.call('ZSCORE', KEYS[3], id) then
    local _, crashes = read_meta(redis.call('HGET', KEYS[4], id))
    redis.call('ZADD', (crashes or 0) > 0 and KEYS[3] or KEYS[2], 0, id)
    restored = restored + 1
  end
end
return {page[1], restored}

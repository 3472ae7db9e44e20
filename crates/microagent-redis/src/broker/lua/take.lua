-- Moves messages out of the queue into what a consumer has in flight: retries that are due first, then the list.
-- KEYS  1 queue    list of bodies, the same that any RPUSH producer and BLPOP consumer uses
--       2 inbox    list: bodies that a blocking move has put aside for this consumer
--       3 taken    hash: id → body, what this consumer has in flight
--       4 ids      counter of ids
--       5 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       6 later    hash: id → body, of everything in `due` and `suspects`
--       7 meta     hash: id → "attempt crashes first", of messages that were handled before
--       8 leases   sorted set: consumer → when its lease ends
--       9 suspects sorted set of the ids whose consumer died; they are taken by suspect.lua
--      10 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 consumer
--       2 how many, at most 1000
-- Gives {'lost'} when the consumer's lease is gone, else
--   {'ok', ms until the next retry is due or -1, how many suspects wait, {id, meta, body, …}, first id, {body, …}, {why, …}}
local consumer, room = ARGV[1], tonumber(ARGV[2])
if not redis.call('ZSCORE', KEYS[8], consumer) then
  return {'lost'}
end
-- Nothing may fail from here on, or what was popped would be lost.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'list' and kind ~= 'none' then
  return redis.error_reply('WRONGTYPE the key of the queue holds a ' .. kind .. ' and no list')
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local again = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, room)) do
  local body = redis.call('HGET', KEYS[6], id)
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[6], id)
  if body then
    redis.call('HSET', KEYS[3], id, body)
    again[#again + 1] = id
    again[#again + 1] = redis.call('HGET', KEYS[7], id) or ''
    again[#again + 1] = body
    room = room - 1
  end
end

local bodies, reasons, first = {}, {}, 0
for _, list in ipairs({KEYS[2], KEYS[1]}) do
  if #bodies < room then
    for _, body in ipairs(redis.call('LPOP', list, room - #bodies) or {}) do
      bodies[#bodies + 1] = body
    end
  end
end
if #bodies > 0 then
  first = redis.call('INCRBY', KEYS[4], #bodies) - #bodies + 1
  local fields = {}
  for i, body in ipairs(bodies) do
    fields[2 * i - 1] = string.format('%.0f', first + i - 1)
    fields[2 * i] = body
  end
  redis.call('HSET', KEYS[3], unpack(fields))
end
if #bodies > 0 and redis.call('EXISTS', KEYS[10]) == 1 then
  for i, body in ipairs(bodies) do
    reasons[i] = redis.call('HGET', KEYS[10], redis.sha1hex(body)) or ''
  end
end

local next_due = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local wait = next_due[2] and math.max(0, next_due[2] - now) or -1
return {'ok', wait, redis.call('ZCARD', KEYS[9]), again, first, bodies, reasons}

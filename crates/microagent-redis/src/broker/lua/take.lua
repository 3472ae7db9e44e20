-- Moves messages out of the queue into what a consumer has in flight: retries that are due first, then the list.
-- KEYS  1 queue    list of bodies, the same that any RPUSH producer and BLPOP consumer uses
--       2 inbox    list: bodies that a blocking move has put aside, for whoever looks first; they stand before the list
--       3 taken    hash: id → body, what this consumer has in flight
--       4 ids      counter of ids
--       5 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       6 later    hash: id → body, of everything in `due` and `suspects`
--       7 meta     hash: id → "attempt crashes first", of messages that were handled before
--       8 leases   sorted set: consumer → when its lease ends
--       9 suspects sorted set of the ids whose consumer died; they are taken by suspect.lua
--      10 why      hash: SHA-1 of a dead letter's body → why it is one
--      11 bad      hash: id → body, of messages whose records are unreadable
-- ARGV  1 consumer
--       2 how many, at most 1000
-- Returns {'lost'} if the consumer's lease is gone, else {'ok', ms until the next retry is due or -1, how many suspects wait,
--   {id, meta, body, …}, first id, {body, …}, {why, …}, how many the consumer has in flight now, {id without a body, …}}
local wrong = wrong_type({'list', 'list', 'hash', 'string', 'zset', 'hash', 'hash', 'zset', 'zset', 'hash', 'hash'})
if wrong then
  return wrong
end
local room, time = tonumber(ARGV[2]), now()
if not redis.call('ZSCORE', KEYS[8], ARGV[1]) then
  return {'lost'}
end
begin_writing(KEYS[7])

local again, strays = {}, {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', time, 'LIMIT', 0, room)) do
  local body, meta = redis.call('HGET', KEYS[6], id), redis.call('HGET', KEYS[7], id)
  if not body then
    strays[#strays + 1] = id
  elseif is_id(id) and read_meta(meta) then
    redis.call('HSET', KEYS[3], id, body)
    again[#again + 1] = id
    again[#again + 1] = meta or ''
    again[#again + 1] = body
    room = room - 1
  else
    keep_bad(KEYS[11], id, body)
  end
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[6], id)
end

-- Assigns ids. Without a counter, or with one that is not a number, they go on at the clock in µs, which is beyond all ids
-- that were assigned before: an id that came twice would overwrite a body.
local function next_ids(count)
  local last = tonumber(redis.call('GET', KEYS[4]) or '')
  if not last or last < 1 or last > 9e15 or last % 1 ~= 0 then
    local clock = redis.call('TIME')
    last = clock[1] * 1000000 + clock[2]
  end
  redis.call('SET', KEYS[4], string.format('%.0f', last + count))
  return last + 1
end

-- The number of messages in flight from which on the hash should be a table, and the length of a value that makes it one.
local MANY, LARGE = 16, 65

local bodies, reasons, first = {}, {}, 0
local count = math.min(room, redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]))
if count > 0 then
  first = next_ids(count)
  for _, list in ipairs({KEYS[2], KEYS[1]}) do
    if #bodies < count then
      for _, body in ipairs(redis.call('LPOP', list, count - #bodies) or {}) do
        bodies[#bodies + 1] = body
      end
    end
  end
  -- By default, the server keeps up to 512 values of up to 64 bytes in a list, which it searches from its head for each field.
  -- One larger value makes a table of the hash, until it is empty.
  local many = redis.call('HLEN', KEYS[3]) + count > MANY
  local fields = many and {'', string.rep(' ', LARGE)} or {}
  for i, body in ipairs(bodies) do
    fields[#fields + 1] = string.format('%.0f', first + i - 1)
    fields[#fields + 1] = body
  end
  redis.call('HSET', KEYS[3], unpack(fields))
  if many then
    redis.call('HDEL', KEYS[3], '')
  end
end
if count > 0 and redis.call('EXISTS', KEYS[10]) == 1 then
  for i, body in ipairs(bodies) do
    reasons[i] = redis.call('HGET', KEYS[10], redis.sha1hex(body)) or ''
  end
end

local next_due = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
local wait = next_due[2] and math.max(0, next_due[2] - time) or -1
return {'ok', wait, redis.call('ZCARD', KEYS[9]), again, first, bodies, reasons, redis.call('HLEN', KEYS[3]), strays}

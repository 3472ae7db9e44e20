-- Shows what waits, in the order in which it would be taken: retries that are due, the list, and suspects.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside, which stand before the list
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 how many are not shown
--       2 how many are shown behind them, at most 1000
-- Returns {{id, meta, body, …}, {body, …}, {why, …}, {id, meta, body, …}, {id of a body in a list, …}}; such an id is the
--   position of the body and the beginning of its SHA-1
local wrong = wrong_type({'list', 'list', 'zset', 'zset', 'hash', 'hash', 'hash'})
if wrong then
  return wrong
end
local skip, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = now()

-- Returns the part of so many that is shown: the first, and how many.
local function part(whole)
  local first, count = math.min(skip, whole), 0
  count = math.min(room, whole - first)
  skip, room = skip - first, room - count
  return first, count
end

local function set_aside(ids)
  local shown = {}
  for _, id in ipairs(ids) do
    shown[#shown + 1] = id
    shown[#shown + 1] = redis.call('HGET', KEYS[6], id) or ''
    shown[#shown + 1] = redis.call('HGET', KEYS[5], id) or ''
  end
  return shown
end

local first, count = part(redis.call('ZCOUNT', KEYS[3], '-inf', time))
local due = set_aside(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', time, 'LIMIT', first, count))

local bodies, reasons, ids = {}, {}, {}
local before = 0
for _, list in ipairs({KEYS[2], KEYS[1]}) do
  local length = redis.call('LLEN', list)
  first, count = part(length)
  if count > 0 then
    for i, body in ipairs(redis.call('LRANGE', list, first, first + count - 1)) do
      bodies[#bodies + 1] = body
      ids[#ids + 1] = (before + first + i - 1) .. '-' .. digest_of(body)
    end
  end
  before = before + length
end
if #bodies > 0 and redis.call('EXISTS', KEYS[7]) == 1 then
  for i, body in ipairs(bodies) do
    reasons[i] = redis.call('HGET', KEYS[7], redis.sha1hex(body)) or ''
  end
end

first, count = part(redis.call('ZCARD', KEYS[4]))
local suspects = {}
if count > 0 then
  suspects = set_aside(redis.call('ZRANGE', KEYS[4], first, first + count - 1))
end
return {due, bodies, reasons, suspects, ids}

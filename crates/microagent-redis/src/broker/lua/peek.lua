-- Shows what waits, in the order in which it would be taken: retries that are due, the list, and suspects.
-- KEYS  1 queue    list of bodies
--       2 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       3 suspects sorted set of the ids whose consumer died
--       4 later    hash: id → body, of everything in `due` and `suspects`
--       5 meta     hash: id → "attempt crashes first", of messages that were handled before
--       6 why      hash: SHA-1 of a dead letter's body → why it is one
-- ARGV  1 how many are not shown
--       2 how many are shown behind them, at most 1000
-- Gives {{id, meta, body, …}, {body, …}, {why, …}, {id, meta, body, …}}
local skip, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A part of a whole of so many: the first that is shown, and how many are.
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
    shown[#shown + 1] = redis.call('HGET', KEYS[5], id) or ''
    shown[#shown + 1] = redis.call('HGET', KEYS[4], id) or ''
  end
  return shown
end

local first, count = part(redis.call('ZCOUNT', KEYS[2], '-inf', now))
local due = set_aside(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', first, count))

local bodies, reasons = {}, {}
first, count = part(redis.call('LLEN', KEYS[1]))
if count > 0 then
  bodies = redis.call('LRANGE', KEYS[1], first, first + count - 1)
end
if #bodies > 0 and redis.call('EXISTS', KEYS[6]) == 1 then
  for i, body in ipairs(bodies) do
    reasons[i] = redis.call('HGET', KEYS[6], redis.sha1hex(body)) or ''
  end
end

first, count = part(redis.call('ZCARD', KEYS[3]))
local suspects = {}
if count > 0 then
  suspects = set_aside(redis.call('ZRANGE', KEYS[3], first, first + count - 1))
end
return {due, bodies, reasons, suspects}

-- Looks at, moves or removes one waiting message.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside, which stand before the list
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5 later    hash: id → body, of everything in `due` and `suspects`
--       6 meta     hash: id → "attempt crashes first", of messages that were handled before
--       7 why      hash: SHA-1 of a dead letter's body → why it is one
--       8 to       list of bodies, the other queue, for `move`
-- ARGV  1 `look`, `move` or `remove`
--       2 the id that peek.lua has shown: a number, or `position-digest` for what is in a list
-- Returns the body; nil if no such message waits.
local types = {'list', 'list', 'zset', 'zset', 'hash', 'hash', 'hash'}
if KEYS[8] then
  types[8] = 'list'
end
local wrong = wrong_type(types)
if wrong then
  return wrong
end
local action, id = ARGV[1], ARGV[2]

-- A message in a list moves towards the head as those before it are taken: it is looked for at its position, and up to
-- this many places before it.
local FAR = 1000

local function body_at(position)
  local put_aside = redis.call('LLEN', KEYS[2])
  if position < put_aside then
    return KEYS[2], position, redis.call('LINDEX', KEYS[2], position)
  end
  return KEYS[1], position - put_aside, redis.call('LINDEX', KEYS[1], position - put_aside)
end

local function find_in_lists(position, digest)
  for at = position, math.max(0, position - FAR), -1 do
    local list, index, body = body_at(at)
    if body and string.sub(redis.sha1hex(body), 1, #digest) == digest then
      return list, index, body
    end
  end
end

-- Equal bodies share the reason of a dead letter.
local function forget_reason(body)
  if not redis.call('LPOS', KEYS[1], body) and not redis.call('LPOS', KEYS[2], body) then
    redis.call('HDEL', KEYS[7], redis.sha1hex(body))
  end
end

local position, digest = string.match(id, '^(%d+)%-(%x+)$')
if position then
  local list, index, body = find_in_lists(tonumber(position), digest)
  if not body or action == 'look' then
    return body or false
  end
  -- A mark that no body equals: an element is removed by its value.
  local mark = 'microagent:removed:' .. redis.sha1hex(id .. body)
  if action == 'move' then
    redis.call('RPUSH', KEYS[8], body)
  end
  redis.call('LSET', list, index, mark)
  redis.call('LREM', list, 1, mark)
  forget_reason(body)
  return body
end

local body = redis.call('HGET', KEYS[5], id)
local due = tonumber(redis.call('ZSCORE', KEYS[3], id) or '')
local waits = redis.call('ZSCORE', KEYS[4], id) or (due and due <= now())
if not body or not waits or action == 'look' then
  return body and waits and body or false
end
if action == 'move' then
  redis.call('RPUSH', KEYS[8], body)
end
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
redis.call('HDEL', KEYS[5], id)
redis.call('HDEL', KEYS[6], id)
return body

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

-- Looks through a list backwards, from the index `last` to the index `first`. Reads one body at first, then a few at a time: each
-- may have many megabytes, and a position in a long list is expensive to find.
local function find_in(list, first, last, digest)
  local count = 1
  while last >= first do
    local from = math.max(first, last - count + 1)
    local bodies = redis.call('LRANGE', list, from, last)
    for i = #bodies, 1, -1 do
      if digest_of(bodies[i]) == digest then
        return list, from + i - 1, bodies[i]
      end
    end
    last, count = from - 1, math.min(2 * count, 16)
  end
end

-- Positions count through both lists. One beyond their end is cut before anything is counted down from it: a number of more
-- than 2^53 does not change when 1 is subtracted.
local function find_in_lists(position, digest)
  local put_aside, length = redis.call('LLEN', KEYS[2]), redis.call('LLEN', KEYS[1])
  local first, last = math.max(0, position - FAR), math.min(position, put_aside + length - 1)
  local list, index, body = find_in(KEYS[1], math.max(0, first - put_aside), last - put_aside, digest)
  if body then
    return list, index, body
  end
  return find_in(KEYS[2], first, math.min(last, put_aside - 1), digest)
end

-- Equal bodies share the reason of a dead letter.
local function forget_reason(body)
  local reason = redis.sha1hex(body)
  if redis.call('HEXISTS', KEYS[7], reason) == 0 then
    return
  end
  if not redis.call('LPOS', KEYS[1], body) and not redis.call('LPOS', KEYS[2], body) then
    redis.call('HDEL', KEYS[7], reason)
  end
end

local position, digest = string.match(id, '^(%d+)%-(%x+)$')
if position and #digest == DIGEST then
  local list, index, body = find_in_lists(tonumber(position), digest)
  if not body or action == 'look' then
    return body or false
  end
  begin_writing(KEYS[6])
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
begin_writing(KEYS[6])
if action == 'move' then
  redis.call('RPUSH', KEYS[8], body)
end
redis.call('ZREM', KEYS[3], id)
redis.call('ZREM', KEYS[4], id)
redis.call('HDEL', KEYS[5], id)
redis.call('HDEL', KEYS[6], id)
return body

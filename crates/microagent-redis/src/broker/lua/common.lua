-- Functions that several scripts use. This file stands in front of each script.

-- Checks that each key has the type that its script expects, and returns an error if one does not. Every script does this
-- before its first write: a command on a key of another type ends the script, and a body that was removed by then is lost.
local function wrong_type(types)
  for i, expected in ipairs(types) do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= expected and found ~= 'none' then
      return redis.error_reply('WRONGTYPE the key `' .. KEYS[i] .. '` holds a ' .. found .. ', expected a ' .. expected)
    end
  end
end

-- Returns the server's time in ms since the Unix epoch.
local function now()
  local clock = redis.call('TIME')
  return clock[1] * 1000 + math.floor(clock[2] / 1000)
end

-- Makes the first write of a script one that changes nothing and that a full memory allows. The writes after it are then
-- allowed too: moving a message needs no more memory, and messages must be handled for there to be less of them.
local function begin_writing(hash)
  redis.call('HDEL', hash, '')
end

-- How many digits of the SHA-1 of a body its id has while it is in a list.
local DIGEST = 12

local function digest_of(body)
  return string.sub(redis.sha1hex(body), 1, DIGEST)
end

-- Returns true for an id that take.lua can have assigned.
local function is_id(id)
  return #id <= 18 and string.match(id, '^[1-9]%d*$') ~= nil
end

-- Reads "attempt crashes first" and returns the attempt, the crashes and the rest of the text; nil if it is unreadable.
-- A message without a record was never handled.
local function read_meta(text)
  if not text then
    return 1, 0, ''
  end
  local attempt, crashes, rest = string.match(text, '^(%d+) (%d+)(.*)$')
  if not attempt or #attempt > 9 or #crashes > 9 or (rest ~= '' and not string.match(rest, '^ %d+$')) then
    return nil
  end
  return tonumber(attempt), tonumber(crashes), rest
end

-- Keeps a body whose record is unreadable, without overwriting another one. A sweep makes a dead letter of it.
local function keep_bad(bad, id, body)
  while redis.call('HEXISTS', bad, id) == 1 do
    id = id .. '+'
  end
  redis.call('HSET', bad, id, body)
end

-- Moves all elements of a list to the head of another list, in their order.
local function move_to_head(from, to)
  while redis.call('LMOVE', from, to, 'RIGHT', 'LEFT') do
  end
end

-- Gives messages back that nobody has handled: to the head of the list, or, if they were handled before, to the messages
-- that are due now or to the suspects. The ids that go to the head first are last. Returns how many were in flight, and the ids
-- that were not.
local function give_back(keys, ids)
  local given, missing = 0, {}
  for _, id in ipairs(ids) do
    local body = redis.call('HGET', keys.taken, id)
    if body then
      given = given + 1
      local meta = redis.call('HGET', keys.meta, id)
      local attempt, crashes = read_meta(meta)
      if not attempt or not is_id(id) then
        keep_bad(keys.bad, id, body)
      elseif not meta then
        redis.call('LPUSH', keys.queue, body)
      else
        redis.call('HSET', keys.later, id, body)
        redis.call('ZADD', crashes > 0 and keys.suspects or keys.due, 0, id)
      end
      redis.call('HDEL', keys.taken, id)
    else
      missing[#missing + 1] = id
    end
  end
  return given, missing
end

-- Removes a message that is kept beside the list, with its record, and returns its body; false if there is none.
local function remove_later(keys, set, id)
  local body = redis.call('HGET', keys.later, id)
  redis.call('ZREM', set, id)
  redis.call('HDEL', keys.later, id)
  redis.call('HDEL', keys.meta, id)
  return body
end

-- Moves messages that are kept beside the list to the tail of a list, as messages that were never handled. Returns how many
-- of the ids had a body.
local function move_later(keys, set, ids, to)
  local moved = 0
  for _, id in ipairs(ids) do
    local body = remove_later(keys, set, id)
    if body then
      redis.call('RPUSH', to, body)
      moved = moved + 1
    end
  end
  return moved
end


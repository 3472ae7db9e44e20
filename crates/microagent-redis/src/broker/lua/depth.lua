-- Counts the messages of a queue by state.
-- KEYS  1 queue    list of bodies
--       2 inbox    list: bodies that a blocking move has put aside
--       3 due      sorted set: id → when it is delivered again, in ms of the server's clock
--       4 suspects sorted set of the ids whose consumer died
--       5…         taken: hash: id → body, what a consumer has in flight; one for each consumer
-- Returns {how many wait, how many are in flight, how many wait for a time}
local types = {'list', 'list', 'zset', 'zset'}
for i = 5, #KEYS do
  types[i] = 'hash'
end
local wrong = wrong_type(types)
if wrong then
  return wrong
end
local due = redis.call('ZCOUNT', KEYS[3], '-inf', now())
local in_flight = 0
for i = 5, #KEYS do
  in_flight = in_flight + redis.call('HLEN', KEYS[i])
end
return {
  redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]) + due + redis.call('ZCARD', KEYS[4]),
  in_flight,
  redis.call('ZCARD', KEYS[3]) - due,
}

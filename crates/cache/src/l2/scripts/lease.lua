-- Asks for the right to load a value.
-- KEYS: value, changed, generation… (namespace, scope, key, tag…)
-- ARGV: prefix of leases with the slot, waiters of the slot, node, token, lease ms, keep ms, random
-- Gives: time, value or false, whether the lease is the caller's, generation…
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
-- A scope of which nothing is known has not changed before this load began.
if not redis.call('GET', KEYS[2]) then
    redis.call('SET', KEYS[2], string.format('%.0f', ms - 1), 'PX', ARGV[6])
end
local changed = redis.call('GET', KEYS[2])
local given = {}
local lease = ARGV[1]
for at = 3, #KEYS do
    local generation = redis.call('GET', KEYS[at])
    if not generation then
        generation = ARGV[7] .. string.char(math.floor(at / 256), at % 256) .. changed
        redis.call('SET', KEYS[at], generation, 'PX', ARGV[6])
    end
    given[at - 2] = generation
    -- The three that every value hangs on. A load of an older generation holds another lease: nobody
    -- waits for it.
    if at < 6 then
        lease = lease .. string.sub(generation, 1, 10)
    end
end
local value = redis.call('GET', KEYS[1])
local is_mine = redis.call('SET', lease, ARGV[4], 'NX', 'PX', ARGV[5])
-- Also where there is a value: it may be one that nobody can use any more.
if not is_mine then
    redis.call('SADD', ARGV[2], ARGV[3])
    redis.call('PEXPIRE', ARGV[2], ARGV[5])
end
return {string.format('%.0f', ms), value, is_mine and 1 or 0, unpack(given)}

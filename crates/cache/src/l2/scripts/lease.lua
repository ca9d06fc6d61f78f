-- Asks for the right to load a value.
-- KEYS: value, scope's state, generation… (namespace, scope, key, tag…)
-- ARGV: prefix of leases with the slot, waiters of the slot, node, token, lease ms, keep ms, random, most bytes
-- Gives: time, value or false, whether the lease is the caller's, scope's state, {generation…}
local ms = milliseconds()
local scope = state(KEYS[2])
if scope then
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
else
    scope = ARGV[7] .. '0'
    redis.call('SET', KEYS[2], scope, 'PX', ARGV[6])
end
local given = {}
local lease = ARGV[1]
for at = 3, #KEYS do
    local found = generation(KEYS[at])
    if found then
        redis.call('PEXPIRE', KEYS[at], ARGV[6])
    else
        found = ARGV[7] .. string.char(math.floor(at / 256), at % 256) .. scope
        redis.call('SET', KEYS[at], found, 'PX', ARGV[6])
    end
    given[at - 2] = found
    -- The three that every value hangs on. A load of an older generation holds another lease: nobody
    -- waits for it.
    if at < 6 then
        lease = lease .. string.sub(found, 1, 10)
    end
end
local value = bytes(KEYS[1])
if value and #value > tonumber(ARGV[8]) then
    value = false
end
local is_mine = redis.call('SET', lease, ARGV[4], 'NX', 'PX', ARGV[5])
-- One that does not end was given by nobody.
if not is_mine and redis.call('PTTL', lease) < 0 then
    is_mine = redis.call('SET', lease, ARGV[4], 'PX', ARGV[5])
end
-- Also where a value is there: it may be one that was invalidated.
if not is_mine then
    into('SADD', ARGV[2], ARGV[3])
    redis.call('PEXPIRE', ARGV[2], ARGV[5])
end
return {ms, value, is_mine and 1 or 0, scope, given}

-- The generations of tags that became known during a load.
-- KEYS: scope's state, generation…    ARGV: keep ms, random
local scope = state(KEYS[1])
if not scope then
    -- Evicted: nobody knows what happened in the scope since the load began.
    scope = ARGV[2] .. '0'
    redis.call('SET', KEYS[1], scope, 'PX', ARGV[1])
end
local given = {}
for at = 2, #KEYS do
    local found = generation(KEYS[at])
    -- One that began in a count that was lost cannot be compared with this one.
    if found and string.sub(found, 11, 18) == string.sub(scope, 1, 8) then
        redis.call('PEXPIRE', KEYS[at], ARGV[1])
    else
        found = ARGV[2] .. string.char(math.floor(at / 256), at % 256) .. scope
        redis.call('SET', KEYS[at], found, 'PX', ARGV[1])
    end
    given[at - 1] = found
end
return given

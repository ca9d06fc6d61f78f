-- The generations of tags that became known during a load; a new one is as old as the last change in its scope.
-- KEYS: changed, generation…    ARGV: keep ms, random
local changed = redis.call('GET', KEYS[1])
if not changed then
    -- Evicted: something may have changed this moment.
    local now = redis.call('TIME')
    changed = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
    redis.call('SET', KEYS[1], changed, 'PX', ARGV[1])
end
local given = {}
for at = 2, #KEYS do
    local generation = redis.call('GET', KEYS[at])
    if not generation then
        generation = ARGV[2] .. string.char(math.floor(at / 256), at % 256) .. changed
        redis.call('SET', KEYS[at], generation, 'PX', ARGV[1])
    end
    given[at - 1] = generation
end
return given

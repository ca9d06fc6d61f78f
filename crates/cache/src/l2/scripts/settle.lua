-- Ends a lease: stores the value unless it was invalidated meanwhile, and wakes who waits for it.
-- KEYS: value, lease, waiters, generation…
-- ARGV: token, value or '', ttl ms, prefix of nodes' streams, slot, generation…
local is_stored = 0
if bytes(KEYS[2]) == ARGV[1] then
    if ARGV[2] ~= '' then
        is_stored = 1
        for at = 4, #KEYS do
            local found = generation(KEYS[at])
            if not found or string.sub(found, 1, 10) ~= ARGV[at + 2] then
                is_stored = 0
                break
            end
        end
        if is_stored == 1 then
            redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        end
    end
    redis.call('DEL', KEYS[2])
end
for _, node in ipairs(redis.pcall('SMEMBERS', KEYS[3])) do
    local stream = ARGV[4] .. node
    into('XADD', stream, 'MAXLEN', '~', 1000, '*', 's', ARGV[5])
    redis.call('PEXPIRE', stream, 60000)
end
redis.call('DEL', KEYS[3])
return is_stored

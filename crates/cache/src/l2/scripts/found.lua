-- Stands before the other scripts. What others wrote over our keys is as good as nothing there.

-- Bytes, or false.
local function bytes(key)
    local found = redis.pcall('GET', key)
    return type(found) == 'string' and found
end

-- The state of a scope: 8 random bytes, and how often something in it has changed since they were drawn.
local function state(key)
    local found = bytes(key)
    return found and #found <= 40 and string.find(found, '^%d+$', 9) and found
end

-- A generation: 10 random bytes, and the state in which its scope was as it began.
local function generation(key)
    local found = bytes(key)
    return found and #found <= 50 and string.find(found, '^%d+$', 19) and found
end

-- Runs a command on a key, which is emptied first where it holds something of another type.
local function into(command, key, ...)
    local done = redis.pcall(command, key, ...)
    if type(done) == 'table' and done.err then
        redis.call('DEL', key)
        done = redis.call(command, key, ...)
    end
    return done
end

local function milliseconds()
    local now = redis.call('TIME')
    return string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
end


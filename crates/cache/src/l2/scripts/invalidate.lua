-- Ends generations and says so. A generation that is missing has changed, so that ending one is deleting it.
-- KEYS: stream, event, generation…
-- ARGV: maxlen, message, origin, keep ms, random number, scope's state…
-- An event that was reported before changes nothing: it must not end what was loaded since.
if KEYS[2] ~= '' and not redis.call('SET', KEYS[2], 1, 'NX', 'PX', 600000) then
    return 0
end
for at = 3, #KEYS do
    redis.call('DEL', KEYS[at])
end
-- A state that is missing has changed, too.
for at = 6, #ARGV do
    local scope = state(ARGV[at])
    if scope then
        local count = string.format('%.0f', tonumber(string.sub(scope, 9)) + 1)
        redis.call('SET', ARGV[at], string.sub(scope, 1, 8) .. count, 'PX', ARGV[4])
    end
end
-- Each message names the one before it, so that a reader knows when it has missed one. A stream that begins
-- begins at random, so that none of its messages is taken for one of a stream that was lost.
local last = into('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local id = last and '*' or milliseconds() .. '-' .. ARGV[5]
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id, 'p', last and last[1] or '', 'o', ARGV[3], 'd', ARGV[2])
return 1

-- Ends generations and says so. A generation that is missing has changed, so that ending one is deleting it.
-- KEYS: stream, event…, generation…
-- ARGV: maxlen, targets, origin, keep ms, random number, events, number of events, scope's state…
local events = tonumber(ARGV[7])
local is_news = events == 0
for at = 2, 1 + events do
    if redis.call('SET', KEYS[at], 1, 'NX', 'PX', 600000) then
        is_news = true
    end
end
-- Events that were reported before change nothing: they must not end what was loaded since.
if not is_news then
    return 0
end
for at = 2 + events, #KEYS do
    redis.call('DEL', KEYS[at])
end
-- A state that is missing has changed, too.
for at = 8, #ARGV do
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
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id,
    'p', last and last[1] or '', 'o', ARGV[3], 'd', ARGV[2], 'e', ARGV[6])
return 1

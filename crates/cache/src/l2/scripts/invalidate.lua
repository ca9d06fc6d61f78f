-- Ends generations and says so. A generation that is missing has changed, so that ending one is deleting it.
-- KEYS: stream, its last id, event…, generation…
-- ARGV: maxlen, targets, origin, keep ms, events, number of events, changed key…
local events = tonumber(ARGV[6])
local is_news = events == 0
for at = 3, 2 + events do
    if redis.call('SET', KEYS[at], 1, 'NX', 'PX', 600000) then
        is_news = true
    end
end
-- Events that were reported before change nothing: they must not end what was loaded since.
if not is_news then
    return 0
end
for at = 3 + events, #KEYS do
    redis.call('DEL', KEYS[at])
end
local now = redis.call('TIME')
local ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
for at = 7, #ARGV do
    redis.call('SET', ARGV[at], ms, 'PX', ARGV[4])
end
-- Each message names the one before it, so that a reader knows when it has missed one.
local before = redis.call('GET', KEYS[2]) or ''
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*',
    'p', before, 'o', ARGV[3], 'd', ARGV[2], 'e', ARGV[5])
redis.call('SET', KEYS[2], id)
return 1

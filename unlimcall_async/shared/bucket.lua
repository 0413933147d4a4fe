-- One decision of a bucket that processes share: may a request go out now, and if not, when?
--
-- The rules are those of `unlimcall_async/http/bucket.py` and `pace.py`. The names are theirs, too. What differs:
-- - The clock is the server's, so that the clocks of the processes do not matter.
-- - Each process has at most one waiter here: the head of its own queue. A waiter learns how long it has to wait, and asks again
--   then. One with `rank` others before it is told to wait until there are tokens for them, too. So few ask in vain, and a waiter
--   that died delays the others by one token, until its place is taken away.
-- - A grant has a name. So a process that did not get the answer gives the grant back, and asks for another.
-- - What the server has forgotten counts as used. See `memory`.
--
-- KEYS: the server's mark; the grants (sorted by time), the state, the waiters (sorted by their turn) and the times until which they
--   are waited for, all of one bucket.
-- ARGV: requests a minute, or 0; requests a day, or 0; burst;
--   the waiter, or '' if nothing is asked; the name of its grant;
--   the mark that the process has seen, or ''; a new mark; 1 if the process has seen this bucket, or 0; 1 if the process could not
--   reach the server before it has seen a mark, or 0;
--   then reports, each as a kind, a name and a number of seconds.
local mark_key, grants, state_key, waiters, alive = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local per_minute, per_day, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local waiter, grant, seen_mark, new_mark = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local seen_bucket, had_outage = ARGV[8] == '1', ARGV[9] == '1'

local MINUTE, DAY, MARGIN = 60, 86400, 0.5
-- Seconds. What a process has seen is forgotten a day after it was last used, an hour later than by the process itself.
local KEPT = DAY + 2 * 3600
-- Seconds that a waiter may be late. A process that is busy with other work for longer loses its place.
local GRACE = 2
-- Seconds. The process learns from the script's answer how long the pause is, and prolongs it. The shortest pause is a second.
local AT_ONCE = 0.9
-- Seconds: times are written so exactly.
local RESOLUTION = 1e-6
-- Grants that are looked at for the spread: each costs a microsecond.
local SPREAD_OVER = 12
-- See pace.py.
local DECREASE, PLATEAU, INCREASE, NEAR = 0.8, 0.9, 0.05, 1.5
local FEW, LEAST_OF_FEW, LEAST_OF_MANY, MOST_OF_MANY = 5, 0.4, 0.05, 0.95
local HOLD, LONGEST_HOLD, CALM, PAUSE_COUNTED = 120, 3600, 600, 60

local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6

-- --- the state --------------------------------------------------------------------------------------------------------

local function number(text)
  return text and tonumber(text) or nil
end

local NAMES = {
  'tokens', 'at', 'interval', 'paused', 'last', 'kept', 'turn', 'lost', 'asked', 'limit',
  'base', 'since', 'ceiling', 'hold', 'probe', 'refused', 'accepted', 'held', 'top', 'streak',
}
local refill = per_minute > 0 and MINUTE / per_minute or 0
local s = {
  tokens = burst, at = 0, interval = refill, paused = 0, kept = MINUTE, turn = 0, lost = 0, asked = 0, limit = per_minute,
  since = 0, ceiling = math.huge, hold = HOLD, probe = 0, refused = 0, accepted = 0, held = 0, top = 0, streak = 0,
}
local stored = redis.call('HMGET', state_key, unpack(NAMES))
for i, name in ipairs(NAMES) do
  s[name] = number(stored[i]) or s[name]
end
local is_stored = stored[1] ~= false
s.kept = math.max(s.kept, per_day > 0 and DAY or MINUTE)

local function newest()
  return number(redis.call('ZREVRANGE', grants, 0, 0, 'WITHSCORES')[2])
end

-- The clock of the server was set back: what lies ahead is taken as of now.
local function set_back()
  local by = s.asked - now
  if by <= 0 then return end
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', grants, '(' .. string.format('%.6f', now), '+inf')) do
    redis.call('ZADD', grants, string.format('%.6f', now), name)
  end
  for _, name in ipairs({'at', 'paused', 'since', 'probe', 'refused'}) do
    s[name] = s[name] - by
  end
  s.last, s.lost = newest(), math.min(s.lost, now)
  redis.call('DEL', waiters, alive)
end

-- Find out whether grants may have been forgotten, and if so, when at the latest. The limit counts as used up then. The mark is made
-- by the first process that finds none. Each process remembers the mark, so a server that has lost it is known from a new one.
local function memory()
  local info = redis.call('INFO', 'server')
  local run = string.match(info, 'run_id:(%x+)')
  -- Less than 0 if the clock was set back behind the start.
  local up = tonumber(string.match(info, 'uptime_in_seconds:(%-?%d+)'))
  local held = redis.call('HMGET', mark_key, 'mark', 'run', 'made', 'lost', 'asked')
  local mark, made, lost, asked = held[1], number(held[3]) or now, number(held[4]) or 0, number(held[5]) or now
  if not mark then
    mark, made = new_mark, now
    if seen_mark ~= '' or had_outage then lost = now end
  else
    if seen_mark ~= '' and seen_mark ~= mark then lost = math.max(lost, made) end
    if held[2] ~= run then
      -- The server was started again, and what it has saved may be older than what it knew. Its start is known to a second.
      local started = now - up + 1
      -- A server that ran before the last question to another one has taken over from it, and may not have all of its grants.
      lost = math.max(lost, started > asked and started or now)
    end
  end
  if lost > now then lost = now end
  redis.call(
    'HSET', mark_key, 'mark', mark, 'run', run,
    'made', string.format('%.6f', made), 'lost', string.format('%.6f', lost), 'asked', string.format('%.6f', now)
  )
  redis.call('EXPIRE', mark_key, KEPT)
  -- A server that is short of memory may have dropped one key of the bucket.
  local dropped = seen_bucket and not is_stored
  if s.last and s.last > now - s.kept and not newest() then dropped = true end
  if dropped then s.lost = now end
  return mark, math.max(lost, s.lost)
end

set_back()
s.asked = now
local mark, lost = memory()

-- --- the pace ---------------------------------------------------------------------------------------------------------

local limit_rate = per_minute > 0 and per_minute / MINUTE or nil

local function rate()
  if not s.base then return nil end
  local step = INCREASE * s.top / MINUTE
  local plateau = math.max(s.base, PLATEAU * s.ceiling)
  if now < s.probe then return math.min(s.base + step * (now - s.since), plateau) end
  local reached = math.min(s.base + step * (s.probe - s.since), plateau)
  local risen = reached + step * (now - s.probe)
  if risen >= s.top and now - s.since >= CALM and s.streak == 0 then
    s.base = nil
    return nil
  end
  return math.min(risen, s.top)
end

local function granted_at(name)
  return number(redis.call('ZSCORE', grants, name)) or now
end

local function pace_refused()
  s.refused, s.streak = now, s.streak + 1
  if s.streak > 1 then return end
  local refused_rate = rate()
  if not refused_rate then
    local oldest = number(redis.call('ZRANGEBYSCORE', grants, now - MINUTE, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2])
    local count = redis.call('ZCOUNT', grants, now - MINUTE, '+inf')
    s.top = limit_rate or (oldest and count / math.max(1, now - oldest)) or 1
    s.ceiling, s.hold = math.huge, HOLD / 2
    refused_rate = s.top
  end
  s.hold = refused_rate <= NEAR * s.ceiling and math.min(2 * s.hold, LONGEST_HOLD) or HOLD
  s.ceiling = refused_rate
  s.base, s.since, s.probe = DECREASE * refused_rate, now, now + s.hold
end

local function pace_accepted(at)
  s.accepted = s.accepted + 1
  if at <= s.refused or s.streak == 0 or not s.base then return end
  local goodput = s.held > 0 and s.accepted / s.held or math.huge
  local least = s.accepted < FEW and LEAST_OF_FEW or LEAST_OF_MANY
  local most = s.accepted < FEW and DECREASE or MOST_OF_MANY
  s.base = math.min(math.max(goodput, least * s.ceiling), most * s.ceiling)
  s.streak, s.accepted, s.held = 0, 0, 0
  s.since, s.probe = now, now + s.hold
end

-- --- the bucket -------------------------------------------------------------------------------------------------------

local count = redis.call('ZCARD', grants)

local function time_of(place)
  return number(redis.call('ZRANGE', grants, place, place, 'WITHSCORES')[2])
end

local function tokens_now()
  local most = rate() and 1 or burst
  if s.interval <= 0 then return most end
  return math.min(most, s.tokens + (now - s.at) / s.interval)
end

local function least_interval()
  local slow = rate()
  return slow and math.max(refill, 1 / slow) or refill
end

-- Return the shortest interval that the guard of the minute lets the bucket keep to, from now on.
local function spread()
  local some = math.min(count, per_minute)
  if some == 0 then return 0 end
  local unused, past, longest = per_minute - some, now - MINUTE - MARGIN, 0
  local looks = math.min(some, SPREAD_OVER)
  for look = 1, looks do
    local i = math.ceil(look * some / looks)
    longest = math.max(longest, (time_of(count - some + i - 1) - past) / (unused + i))
  end
  return longest
end

-- The interval is that of the process which asked before this one. Each keeps to its own limit.
if s.limit ~= per_minute then s.interval, s.limit = math.max(least_interval(), spread()), per_minute end

local ready_at

-- Return when a guard lets the request out that has `rank` others before it.
local function guarded(most, span, rank)
  if most == 0 then return 0 end
  -- The grant `most` places before is one that is not made yet.
  if rank >= most then return ready_at(rank - most) + span + MARGIN end
  local ready, place = lost > 0 and lost + span + MARGIN or 0, count - most + rank
  if place < 0 then return ready end
  return math.max(ready, time_of(place) + span + MARGIN)
end

-- By rank. Each guard asks for the time of an earlier rank, so without it the work would double with each rank.
local ready_times = {}

function ready_at(rank)
  if ready_times[rank] then return ready_times[rank] end
  local ready = s.at + math.max(0, 1 - s.tokens) * s.interval
  -- The interval may be shorter after the next grant. Who wakes too early asks again, and nobody sleeps too long.
  local behind = rank - math.max(0, math.floor(tokens_now()) - 1)
  if behind > 0 then ready = math.max(now, ready) + behind * least_interval() end
  ready = math.max(ready, s.paused)
  ready_times[rank] = math.max(ready, guarded(per_minute, MINUTE, rank), guarded(per_day, DAY, rank))
  return ready_times[rank]
end

local function take(ready)
  if s.last then
    s.held = s.held + math.min(math.max(0, math.min(now, ready) - s.last), s.interval + PAUSE_COUNTED)
  end
  -- Without a pace, no process reports what the API has accepted.
  if not s.base then s.accepted = s.accepted + 1 end
  s.tokens, s.at, s.last = tokens_now() - 1, now, now
  redis.call('ZADD', grants, string.format('%.6f', now), grant)
  count = count + 1
  s.interval = math.max(least_interval(), spread())
  ready_times = {}
end

-- --- the reports, and the question ------------------------------------------------------------------------------------

local reports = {
  leave = function(name)
    redis.call('ZREM', waiters, name)
    redis.call('ZREM', alive, name)
  end,
  give_back = function(name)
    if redis.call('ZREM', grants, name) == 0 then return end
    count, s.last = count - 1, newest()
    -- A bucket that has been full since has lost the token. So it may not have more of them than before.
    s.tokens, s.at = math.min(math.max(1, tokens_now()), tokens_now() + 1), now
    s.interval = math.max(least_interval(), spread())
  end,
  -- The request goes out only now. The grant may be so old that it is gone.
  late = function(name)
    redis.call('ZADD', grants, string.format('%.6f', now), name)
    count, s.last = redis.call('ZCARD', grants), newest()
    s.interval = math.max(least_interval(), spread())
  end,
  refused = function(name)
    if not s.base then s.accepted = math.max(0, s.accepted - 1) end
    if granted_at(name) > s.refused then pace_refused() end
    -- The API has not taken the request, so the next one may go as soon as the pause is over: that one, and no burst.
    s.tokens, s.at, s.paused = 1, now, math.max(s.paused, now + AT_ONCE)
    s.interval = math.max(least_interval(), spread())
  end,
  accepted = function(name)
    pace_accepted(granted_at(name))
  end,
  pause = function(_, seconds)
    s.paused = math.max(s.paused, now + seconds)
  end,
}
for i = 10, #ARGV, 3 do
  reports[ARGV[i]](ARGV[i + 1], tonumber(ARGV[i + 2]))
end

for _, name in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', string.format('%.6f', now))) do
  reports.leave(name)
end
-- A server that is short of memory may have dropped one of them. Then a waiter that died would stay for ever.
if redis.call('ZCARD', waiters) ~= redis.call('ZCARD', alive) then redis.call('DEL', waiters, alive) end

local granted, wait = 0, 0
if waiter ~= '' then
  local rank = redis.call('ZRANK', waiters, waiter)
  if not rank then
    s.turn = s.turn + 1
    redis.call('ZADD', waiters, s.turn, waiter)
    rank = redis.call('ZCARD', waiters) - 1
  end
  -- One who sleeps longer than needed, because tokens came sooner than was to be expected, does not keep the others waiting.
  local awake = 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', string.format('%.6f', now + GRACE))) do
    if name ~= waiter and redis.call('ZRANK', waiters, name) < rank then awake = awake + 1 end
  end
  local ready = ready_at(awake)
  if ready > now then ready = ready_at(rank) end
  if ready < now + RESOLUTION then
    take(ready)
    reports.leave(waiter)
    granted = 1
  else
    -- A process asks at least once a minute.
    wait = ready - now
    redis.call('ZADD', alive, string.format('%.6f', now + math.min(wait, MINUTE) + GRACE), waiter)
  end
end

-- --- the answer, and the state ----------------------------------------------------------------------------------------

local others = redis.call('ZCARD', waiters)
local used_today = per_day > 0 and redis.call('ZCOUNT', grants, now - DAY - MARGIN, '+inf') or 0
local span = math.max(least_interval(), 1)
local free = tokens_now()
if per_minute > 0 then free = math.min(free, per_minute - redis.call('ZCOUNT', grants, now - MINUTE - MARGIN, '+inf')) end
if per_day > 0 then free = math.min(free, per_day - used_today) end
local answer = {
  granted, wait, ready_at(others) - now, others, free, math.max(s.interval, least_interval()), s.paused - now, rate() or -1, s.streak,
  used_today, redis.call('ZCOUNT', grants, now - span, '+inf'), redis.call('ZCOUNT', grants, now - 10 * span, '+inf'),
}
for i, value in ipairs(answer) do
  answer[i] = string.format('%.6f', value)
end
answer[#answer + 1] = mark

redis.call('ZREMRANGEBYSCORE', grants, '-inf', string.format('%.6f', now - s.kept - 2 * MARGIN))
local fields = {}
for _, name in ipairs(NAMES) do
  if s[name] then
    fields[#fields + 1] = name
    fields[#fields + 1] = string.format('%.17g', s[name])
  end
end
if not s.base then redis.call('HDEL', state_key, 'base') end
if not s.last then redis.call('HDEL', state_key, 'last') end
redis.call('HSET', state_key, unpack(fields))
local kept = math.ceil(math.min(math.max(KEPT, s.paused - now + MINUTE), 1e9))
for _, key in ipairs({grants, state_key, waiters, alive}) do
  redis.call('EXPIRE', key, kept)
end
return answer

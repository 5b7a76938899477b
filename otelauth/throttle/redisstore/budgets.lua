-- Copyright The otelauth Authors
-- SPDX-License-Identifier: Apache-2.0
--
-- One call is one atomic step of budget.Store. The arithmetic is that of budget.Limit and
-- budget.Holds, in microseconds.
--
-- KEYS[1] is the clock; the others are budgets, in the order of their charges.
-- ARGV: operation, lease, remember, the time (0: the server's), two or three numbers of the
-- operation, then for each budget its number, burst, interval, and the burst and interval of a known
-- pair.
-- The value of a budget is "1 tat epoch current previous success". Any other value is foreign and is
-- not changed.
-- The reply begins with 0; with 1 if the call came after its deadline and did nothing; with 2 and i
-- if KEYS[i] is foreign.

local OK, LATE, FOREIGN = 0, 1, 2
local REFUSED, GRANTED, HELD = 0, 1, 2

local operation = ARGV[1]
local lease, remember = tonumber(ARGV[2]), tonumber(ARGV[3])
local wall = tonumber(ARGV[4])
if wall == 0 then
  local time = redis.call('TIME')
  wall = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

if operation == 'spend' and tonumber(ARGV[6]) > 0 and wall > tonumber(ARGV[6]) then
  return {LATE, wall}
end

local function text(key)
  local v = redis.pcall('GET', key)
  if type(v) == 'table' or (v and #v > 96) then
    return nil
  end
  return v
end

-- The clock never goes back: if the host's clock does, the difference is added. The clock is written
-- at most once a second.
local offset, last = 0, 0
local stored = text(KEYS[1])
if stored == nil then
  return {FOREIGN, 1}
elseif stored then
  local o, l = string.match(stored, '^1 (%d+) (%d+)$')
  if not o then
    return {FOREIGN, 1}
  end
  offset, last = tonumber(o), tonumber(l)
end
local now = wall + offset
if now < last then
  offset = offset + last - now
  now = last
  last = 0
end
local epoch = math.floor(now / lease)

local function clock()
  if now - last >= 1000000 then
    redis.call('SET', KEYS[1], string.format('1 %.0f %.0f', offset, now), 'EX', 40 * 86400)
  end
end

local function read(key)
  local v = text(key)
  if v == nil then
    return nil
  elseif not v then
    return {tat = 0, epoch = epoch, current = 0, previous = 0, success = 0}
  end
  local tat, e, current, previous, success = string.match(v, '^1 (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not tat then
    return nil
  end
  return {tat = tonumber(tat), epoch = tonumber(e), current = tonumber(current), previous = tonumber(previous), success = tonumber(success)}
end

local function known(h)
  return h.success > 0 and now - h.success < remember
end

local function bound(h, tat, at)
  return math.min(math.max(tat, at), at + h.burst * h.every)
end

local function charge(h, n, at)
  h.tat = bound(h, bound(h, h.tat, at) + math.min(n, h.burst) * h.every, at)
end

-- A hold is charged at the moment when its lease ended, not now: a later call must compute the same.
local function advance(h)
  if epoch > h.epoch then
    if h.previous > 0 then
      charge(h, h.previous, (h.epoch + 1) * lease)
    end
    if epoch == h.epoch + 1 then
      h.previous, h.current = h.current, 0
    else
      if h.current > 0 then
        charge(h, h.current, (h.epoch + 2) * lease)
      end
      h.previous, h.current = 0, 0
    end
  end
  h.epoch = epoch
end

local function left(h)
  return math.floor((now + h.burst * h.every - bound(h, h.tat, now)) / h.every)
end

local function wait(h)
  return math.max(0, bound(h, h.tat, now) - (now + h.burst * h.every - h.every))
end

-- A value expires when its budget is full again.
local function write(h)
  local open = h.current + h.previous
  local life = math.max(0, h.tat - now)
  if open > 0 then
    life = life + 2 * lease + open * h.every
  end
  if known(h) then
    life = math.max(life, remember - (now - h.success))
  end
  if life <= 0 then
    redis.call('DEL', h.key)
    return
  end
  redis.call('SET', h.key, string.format('1 %.0f %.0f %.0f %.0f %.0f', math.max(h.tat, 0), h.epoch, h.current, h.previous, h.success),
    'PX', math.ceil(life / 1000) + 1000)
end

if operation == 'probe' then
  last = 0
  clock()
  return {OK, wall}
end

-- All values are read before any is written.
local budgets, pair = {}, nil
local isKnown = false
local first = operation == 'spend' and 7 or 8
for i = 2, #KEYS do
  local at = first + (i - 2) * 5
  local h = read(KEYS[i])
  if not h then
    return {FOREIGN, i}
  end
  h.key, h.budget = KEYS[i], tonumber(ARGV[at])
  h.burst, h.every = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if h.budget == 0 then
    pair = h
    isKnown = known(h)
    if isKnown then
      h.burst, h.every = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    end
  end
  h.costs = h.every > 0 and (h.budget == 0 or not isKnown)
  h.holds = h.every > 0
  budgets[#budgets + 1] = h
end

if operation == 'spend' then
  local mode = tonumber(ARGV[5])
  local verdict, budget, retry = GRANTED, 0, 0
  local pairLeft = 0
  for _, h in ipairs(budgets) do
    if h.costs then
      advance(h)
      local l = left(h)
      local free = math.max(0, l - h.current - h.previous)
      if h == pair then
        pairLeft = free
      end
      if l < 1 then
        local w = wait(h)
        if verdict ~= REFUSED or w > retry then
          budget, retry = h.budget, w
        end
        verdict = REFUSED
      elseif mode ~= 1 and free < 1 and verdict == GRANTED then
        verdict, budget = HELD, h.budget
      end
    end
  end
  local held = 0
  for _, h in ipairs(budgets) do
    if h.costs then
      if verdict == GRANTED and mode == 0 then
        h.current = h.current + 1
        held = held + 2 ^ h.budget
        h.dirty = true
      elseif verdict == GRANTED and mode == 2 then
        charge(h, 1, now)
        h.dirty = true
      end
      if h.dirty then
        write(h)
      end
    end
  end
  clock()
  if verdict == GRANTED and mode ~= 1 then
    pairLeft = math.max(0, pairLeft - 1)
  end
  return {OK, wall, verdict, budget, retry, isKnown and 1 or 0, pairLeft, pair and pair.every or 0, held, held > 0 and epoch or 0}
end

if operation == 'settle' then
  local settlement, held, grant = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  for _, h in ipairs(budgets) do
    if h.holds and math.floor(held / 2 ^ h.budget) % 2 == 1 then
      advance(h)
      local mine = true
      if grant == h.epoch and h.current > 0 then
        h.current = h.current - 1
      elseif grant == h.epoch - 1 and h.previous > 0 then
        h.previous = h.previous - 1
      else
        mine = false
      end
      if settlement == 0 and mine then
        charge(h, 1, now)
      elseif settlement ~= 0 and not mine then
        h.tat = bound(h, bound(h, h.tat, now) - h.every, now)
      end
      h.dirty = true
    end
    if h == pair and settlement == 1 then
      if not isKnown then
        h.tat = 0
      end
      h.success = now
      h.dirty = true
    end
  end
  for _, h in ipairs(budgets) do
    if h.dirty then
      write(h)
    end
  end
  clock()
  return {OK, wall}
end

if operation == 'look' then
  local reply = {OK, wall, isKnown and 1 or 0}
  for _, h in ipairs(budgets) do
    if h.holds then
      advance(h)
      reply[#reply + 1] = h.budget
      reply[#reply + 1] = left(h)
      reply[#reply + 1] = h.current + h.previous
      reply[#reply + 1] = wait(h)
    end
  end
  return reply
end

-- clear fills a budget; forget also makes its pair unknown. Unsettled guesses remain held. These
-- operations do not receive the limits, so the key keeps its expiry.
for _, h in ipairs(budgets) do
  h.tat = 0
  if operation == 'forget' then
    h.success = 0
  end
  if h.current + h.previous + h.success == 0 then
    redis.call('DEL', h.key)
  elseif redis.call('EXISTS', h.key) == 1 then
    redis.call('SET', h.key, string.format('1 0 %.0f %.0f %.0f %.0f', h.epoch, h.current, h.previous, h.success), 'KEEPTTL')
  end
end
clock()
return {OK, wall}

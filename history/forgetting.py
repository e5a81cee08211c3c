"""What a Redis that is nearly full forgets: its oldest transactions, a slot of ids at a time (`history.known_ids`).

Rules:

1. Only ids are forgotten, with their blocks and answers: no state, so that history features stay what they are. A
   forgotten transaction that is sent again counts again, and a label for it is not taken: as after KNOWN_DAYS, earlier.
2. The oldest slot goes first, and the newest never: what is sent twice within days counts once, however full Redis is.
   Where there is no other slot, Redis fills up and refuses (`history_incomplete{reason="full"}`).
3. Of several gateways one forgets: the script compares the slot, how full Redis is, and whether it still frees
   something.
"""

from history.known_ids import SLOT_SECONDS

NEARLY_FULL = 0.9
"""Share of its memory from which Redis forgets."""
PAGE_KEYS = 500
"""That one call of FORGET_BLOCKS looks at: a millisecond of Redis' time."""

FORGET_OLDEST = """
-- ARGV: the oldest slot as it was read; the share of memory from which it is forgotten.
-- Returns how many ids were forgotten; -1 where nothing was done.
local info = redis.call('INFO', 'memory')
local function number(name) return tonumber(string.match(info, '\\n' .. name .. ':(%d+)')) or 0 end
local most = number('maxmemory')
if most == 0 or number('used_memory') < most * ARGV[2] or number('lazyfree_pending_objects') > 0 then return -1 end
local oldest = redis.call('ZRANGE', 'fraud:known', 0, 1)
if #oldest < 2 or oldest[1] ~= ARGV[1] then return -1 end
local key = 'fraud:k:' .. oldest[1]
local count = redis.call('HLEN', key)
redis.call('UNLINK', key)
redis.call('ZREM', 'fraud:known', oldest[1])
return count
"""
"""Forgets the ids of a slot, which are freed in the background."""

FORGET_BLOCKS = """
-- ARGV: where to go on; a slot that is forgotten. Returns where to go on then.
-- A block expires SLOT_SECONDS after its ids could, which its slot rounds up; answers when these could.
local ends = ARGV[2] * SLOT_SECONDS
local page = redis.call('SCAN', ARGV[1], 'MATCH', 'fraud:[ab]:*', 'COUNT', PAGE_KEYS)
for _, key in ipairs(page[2]) do
  local expires = redis.call('EXPIRETIME', key)
  local latest = string.sub(key, 7, 7) == 'b' and ends + SLOT_SECONDS or ends
  if expires >= 0 and expires <= latest then redis.call('UNLINK', key) end
end
return page[1]
""".replace("SLOT_SECONDS", str(SLOT_SECONDS)).replace("PAGE_KEYS", str(PAGE_KEYS))
"""Forgets the blocks and answers of a slot and of older ones, a page of keys at a time."""

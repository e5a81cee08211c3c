"""What Redis remembers of transactions: keys, bytes and scripts, shared by the gateway and `fraud history`. No I/O.

Four kinds of keys, all of keyed hashes (`history.keyed_hash`) or chance: no card, customer or transaction is named in
Redis, or can be looked for by who does not know the key. Labels have two more (`history.labels`), large batches two
(`history.journal`), loads one.

fraud:h:<layout><entity>   the records of one entity (`history.evaluation.Layout`), appended to; merged now and then
fraud:t:<transaction>      one transaction: when and where it counts, its label, where its values and its answer are
fraud:v:<block>            the history values of the transactions of one request, for their repeats
fraud:a:<block>            what was answered to them, an ANSWER for each, for what labels will say of it

A transaction of a small batch enters by one script: it is noted and counted at once or, where it is known already, not
at all. Those of a large batch enter by a journal.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from history.evaluation import CODE_BITS, StoredRecords, keys
from history.keyed_hash import HistoryKey
from history.layout import DIGEST_BYTES, ENTITY_BYTES, Layout, Records
from history.plan import Plan

BLOCK_BYTES = 12
STATE_KEY_BYTES = DIGEST_BYTES + ENTITY_BYTES
STATE_KEY = np.dtype([("layout", f"V{DIGEST_BYTES}"), ("entity", f"V{ENTITY_BYTES}")])
STATE, TRANSACTION, VALUES, ANSWERS = b"fraud:h:", b"fraud:t:", b"fraud:v:", b"fraud:a:"
Argument = bytes | str | int
"""Of a script."""
FORMAT = 2
NEVER = 0xFFFFFFFF
"""The size of the values of a transaction that was loaded: it never had any."""
ON_ITS_WAY = 60
"""Seconds, more than any request takes: what entered before and has no values gets none any more."""
UNLABELLED, GENUINE, FRAUD = 0, 1, 2
PASSED, FLAGGED = 0, 1
HEAD = np.dtype([
    ("format", "u1"), ("label", "u1"), ("confirmed", "<f8"), ("seconds", "<f8"),
    ("plan", f"V{DIGEST_BYTES}"), ("block", f"V{BLOCK_BYTES}"), ("index", "<u4"), ("width", "<u2"), ("places", "u1"),
])  # fmt: skip
"""Of a transaction's record: its label and since when; its time; the plan of its values, how many they are, in which
block and which row; then the keys of the states that its label changes. The scripts know these places."""
ANSWER, LABEL = np.dtype([("answer", "u1"), ("version", "<u4")]), np.dtype([("label", "u1"), ("confirmed", "<f8")])
"""What was answered, as it lies in fraud:a:; and the part of a record that a label writes over."""

APPENDING = """
local function append(run, name, bytes, expire)
  local key = 'fraud:h:' .. name
  if type(run('APPEND', key, bytes)) ~= 'number' then return 1 end
  -- Renewed once a day: to ask takes a third of the time.
  if redis.call('TTL', key) < expire - 86400 then redis.call('EXPIRE', key, expire) end
  return 0
end
local function append_all(run, names, lengths, bytes, expire)
  local place, failed = 1, 0
  for i = 1, #names / 24 do
    local length = struct.unpack('<I4', lengths, i * 4 - 3)
    local key, more = string.sub(names, i * 24 - 23, i * 24), string.sub(bytes, place, place + length - 1)
    failed = failed + append(run, key, more, expire)
    place = place + length
  end
  return failed
end
"""
"""Lua: what a script appends to states, given how it calls, their keys, how many bytes to each, and the bytes.

Returns how many keys hold no state and were passed over; `redis.call` fails there instead."""

ENTER = (
    APPENDING
    + """
-- ARGV: 'enter' or 'look'; ids; records of transactions; seconds that they are kept; keys
-- to read; keys to append to; how many bytes to each; the bytes; seconds until states expire; and, of a
-- load, a key of progress, what it must be and what it becomes.
-- Returns the places of known transactions, their plans, the sizes of their values (NEVER: it had none from the
-- start), the values; then the sizes of the states that were read, and the states; then the epoch of all that, and
-- whether its past is just being loaded (`history.epoch`). Where a transaction is known, none of the call enters.
-- A block that is there and empty stands for values that were not worth keeping: its transactions never had any. So
-- it is with one whose block is not there, where it entered too long ago for anybody to be about to write it.
local mode, ids, records, keep, reads, writes, lengths, bytes = unpack(ARGV, 1, 8)
keep = tonumber(keep)
local expire = tonumber(ARGV[9])
if ARGV[10] and (redis.call('GET', ARGV[10]) or '') ~= ARGV[11] then return {'moved'} end
local places, plans, widths, values, sizes, states = {}, {}, {}, {}, {}, {}
local about = redis.call('MGET', 'fraud:epoch', 'fraud:loading')
for i = 1, 2 do about[i] = about[i] or '' end
for i = 1, #reads / 24 do
  local key = 'fraud:h:' .. string.sub(reads, i * 24 - 23, i * 24)
  local state = redis.call('GET', key) or ''
  sizes[i], states[i] = struct.pack('<I4', #state), state
end
local count = #ids / 16
local size = #records / math.max(count, 1)
local keys, entered = {}, true
for i = 1, count do keys[i] = 'fraud:t:' .. string.sub(ids, i * 16 - 15, i * 16) end
if mode == 'enter' and count > 0 then
  local all = {}
  for i = 1, count do
    all[2 * i - 1], all[2 * i] = keys[i], string.sub(records, (i - 1) * size + 1, i * size)
  end
  entered = redis.call('MSETNX', unpack(all)) == 1
  if entered then
    for i = 1, count do redis.call('EXPIRE', keys[i], keep) end
  end
end
if mode == 'look' or not entered then
  for i = 1, count do
    local before = redis.call('GET', keys[i])
    if before then
      local index, width = struct.unpack('<I4I2', before, 39)
      local block = 'fraud:v:' .. string.sub(before, 27, 38)
      local found = redis.call('GETRANGE', block, index * width * 8, (index + 1) * width * 8 - 1)
      if found == '' and width > 0 then
        local left = redis.call('TTL', keys[i])
        if redis.call('EXISTS', block) == 1 or (left >= 0 and left < keep - ON_ITS_WAY) then width = 0 end
      end
      local n = #places + 1
      places[n], plans[n], values[n] = struct.pack('<I4', i - 1), string.sub(before, 19, 26), found
      widths[n] = struct.pack('<I4', width > 0 and #found or 4294967295)
    end
  end
end
if not entered then sizes, states = {}, {} end
if entered then
  append_all(redis.call, writes, lengths, bytes, expire)
  if ARGV[10] then redis.call('SET', ARGV[10], ARGV[12], 'EX', expire) end
end
return {
  table.concat(places), table.concat(plans), table.concat(widths), table.concat(values), table.concat(sizes),
  table.concat(states), unpack(about),
}
""".replace("ON_ITS_WAY", str(ON_ITS_WAY))
)
"""One step: what is known, what the states are, and then what enters. One command sets all transactions or none: it
takes a third of the time that one for each takes, with the question whether it is there. States are read first: where
one cannot be, nothing has been written."""

KEEP = """
-- ARGV: a block, its values, seconds that it is kept. No values: those of its transactions were not worth keeping.
redis.call('SET', 'fraud:v:' .. ARGV[1], ARGV[2], 'EX', ARGV[3])
"""
"""The values of a request, for repeats: while the model scores."""

STRANGE = """
-- ARGV: keys of states that were not there. Returns how many of them are there, and are no states.
local found = 0
for i = 1, #ARGV[1] / 24 do
  local kind = redis.call('TYPE', 'fraud:h:' .. string.sub(ARGV[1], i * 24 - 23, i * 24)).ok
  if kind ~= 'none' and kind ~= 'string' then found = found + 1 end
end
return found
"""
"""Of states that MGET passed over."""

MERGE = """
-- ARGV: for each state its key, what it is, what it becomes.
for i = 1, #ARGV, 3 do
  local key = 'fraud:h:' .. ARGV[i]
  if redis.call('GET', key) == ARGV[i + 1] then redis.call('SET', key, ARGV[i + 2], 'KEEPTTL') end
end
"""
"""After the reply: states that had grown long, where nobody has appended meanwhile."""


def state_keys(layout: Layout, entities: Sequence[str], key: HistoryKey) -> NDArray[np.void]:
    """The key of each entity's state, without its prefix: shape (entities,)."""
    digests = key.entities.digests(entities)
    both = np.empty(len(digests), STATE_KEY)
    both["layout"], both["entity"] = np.void(layout.digest), digests
    return both.view(f"V{STATE_KEY_BYTES}")


def transactions(plan: Plan, seconds: NDArray[np.float64]) -> NDArray[np.void]:
    """Records of transactions of these times, without values; the places of `labelled` layouts are "0", "1" ..."""
    places = len(labelled(plan))
    records = np.zeros(len(seconds), _transaction(places))
    records["format"], records["seconds"] = FORMAT, seconds
    records["plan"], records["places"] = np.void(plan.digest), places
    return records


@cache
def _transaction(places: int) -> np.dtype[np.void]:
    return np.dtype([*HEAD.descr, *((str(place), f"V{STATE_KEY_BYTES}") for place in range(places))])


def labelled(plan: Plan) -> list[int]:
    """Which layouts of a plan labels change."""
    return [place for place, layout in enumerate(plan.layouts) if layout.delay is not None]


def stored(layout: Layout, sizes: NDArray[np.int64], states: bytes) -> StoredRecords:
    """The states of entities 0, 1, ... as records, given how many bytes each has; a damaged one counts as empty."""
    counts, rest = np.divmod(sizes, layout.dtype.itemsize)
    if rest.any():
        ends = np.cumsum(sizes)
        whole = np.flatnonzero(rest == 0).tolist()
        states = b"".join([states[ends[place] - sizes[place] : ends[place]] for place in whole])
        counts[rest > 0] = 0
    return StoredRecords(np.arange(len(sizes)).repeat(counts), np.frombuffer(states, layout.dtype))


def added(layout: Layout, codes: NDArray[np.int64], records: Records) -> tuple[NDArray[np.int64], list[bytes]]:
    """What rows add to the state of each of their entities: the entities' codes, and bytes of merged records."""
    if len(codes) == 1:
        return codes, [records.tobytes()]
    merged_keys, merged = layout.merged(keys(codes, records["bucket"]), records)
    distinct, begins = np.unique(merged_keys >> CODE_BITS, return_index=True)
    data, size = merged.tobytes(), layout.dtype.itemsize
    spans = zip(begins.tolist(), [*begins[1:].tolist(), len(merged)], strict=False)
    return distinct, [data[begin * size : end * size] for begin, end in spans]

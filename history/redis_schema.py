"""Keys, records and scripts of what Redis keeps of transactions, shared by the gateway and `fraud history`. No I/O.

Keys are named by keyed hashes (`history.keyed_hash`) or at random: no card, customer or transaction is named in Redis,
or can be looked up by anybody without the key. Labels have two more kinds of keys (`history.label_update`), large
batches two (`history.journal`), loads one (`operations.history.load`).

fraud:h:<layout><entity>   the state of one entity: records (`history.layout`), appended to, and merged now and then
fraud:t:<transaction>      one transaction: when and where it counts, its label, where its values and its answer are
fraud:v:<block>            the history values of the transactions of one request, for their repeats
fraud:a:<block>            what was answered to them, an ANSWER for each, against which labels are counted

A transaction of a small batch enters by the script ENTER: it is noted and counted at once or, where it is known
already, not at all. Those of a large batch enter by journals.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from history.evaluation import CODE_BITS, StoredRecords, sort_keys
from history.keyed_hash import HistoryKey
from history.layout import DIGEST_BYTES, ENTITY_BYTES, RecordLayout, Records
from history.plan import Plan

BLOCK_ID_BYTES = 12
STATE_KEY_BYTES = DIGEST_BYTES + ENTITY_BYTES
STATE_KEY = np.dtype([("layout", f"V{DIGEST_BYTES}"), ("entity", f"V{ENTITY_BYTES}")])
STATE, TRANSACTION, VALUES, ANSWERS = b"fraud:h:", b"fraud:t:", b"fraud:v:", b"fraud:a:"
Argument = bytes | str | int
"""An argument of a script."""
Arguments = tuple[Argument, ...]
FORMAT = 2
NO_VALUES = 0xFFFFFFFF
"""Size of the values of a transaction that has none and gets none, as one that was loaded."""
IN_FLIGHT_SECONDS = 60
"""Longer than any request takes: a transaction that entered earlier and has no values gets none any more."""
UNLABELLED, GENUINE, FRAUD = 0, 1, 2
PASSED, FLAGGED = 0, 1
TRANSACTION_HEAD = np.dtype([
    ("format", "u1"), ("label", "u1"), ("confirmed", "<f8"), ("seconds", "<f8"),
    ("plan", f"V{DIGEST_BYTES}"), ("block", f"V{BLOCK_ID_BYTES}"), ("index", "<u4"), ("width", "<u2"), ("places", "u1"),
])  # fmt: skip
"""The begin of a transaction's record: its label and when that was confirmed; its time; the plan of its values, their
block, row and number. The keys of the states that its label changes follow. The scripts know these offsets."""
ANSWER, LABEL = np.dtype([("answer", "u1"), ("version", "<u4")]), np.dtype([("label", "u1"), ("confirmed", "<f8")])
"""An answer as it is stored in fraud:a:; and the part of a record that a label overwrites."""

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
"""Lua functions that append to states, given how to call Redis, the keys, how many bytes to each, and the bytes.

With `redis.pcall` they return how many keys hold no state and were passed over; with `redis.call` they fail there."""

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
        if redis.call('EXISTS', block) == 1 or (left >= 0 and left < keep - IN_FLIGHT_SECONDS) then width = 0 end
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
""".replace("IN_FLIGHT_SECONDS", str(IN_FLIGHT_SECONDS))
)
"""Reads states, looks transactions up and enters them, in one step. One command sets all transactions or none, in
a third of the time of an EXISTS and a SET for each. States are read first: where that fails, nothing is written."""

STORE_VALUES = """
-- ARGV: a block, its values, seconds that it is kept. No values: those of its transactions were not worth keeping.
redis.call('SET', 'fraud:v:' .. ARGV[1], ARGV[2], 'EX', ARGV[3])
"""
"""Stores the values of a request for repeats, while the model scores."""

COUNT_NON_STATES = """
-- ARGV: keys of states that were not there. Returns how many of them are there, and are no states.
local found = 0
for i = 1, #ARGV[1] / 24 do
  local kind = redis.call('TYPE', 'fraud:h:' .. string.sub(ARGV[1], i * 24 - 23, i * 24)).ok
  if kind ~= 'none' and kind ~= 'string' then found = found + 1 end
end
return found
"""
"""For keys that MGET reads as nil: they may be of another type."""

MERGE = """
-- ARGV: for each state its key, what it is, what it becomes.
for i = 1, #ARGV, 3 do
  local key = 'fraud:h:' .. ARGV[i]
  if redis.call('GET', key) == ARGV[i + 1] then redis.call('SET', key, ARGV[i + 2], 'KEEPTTL') end
end
"""
"""Replaces states that have grown long, unless something was appended meanwhile; runs after the reply."""


def state_keys(layout: RecordLayout, entities: Sequence[str], key: HistoryKey) -> NDArray[np.void]:
    """The key of each entity's state, without the prefix STATE; shape (entities,)."""
    digests = key.entities.digests(entities)
    both = np.empty(len(digests), STATE_KEY)
    both["layout"], both["entity"] = np.void(layout.digest), digests
    return both.view(f"V{STATE_KEY_BYTES}")


def transaction_records(plan: Plan, seconds: NDArray[np.float64]) -> NDArray[np.void]:
    """Records of transactions of these times, without values; the fields "0", "1", ... are keys of states."""
    places = len(fraud_layouts(plan))
    records = np.zeros(len(seconds), _transaction_dtype(places))
    records["format"], records["seconds"] = FORMAT, seconds
    records["plan"], records["places"] = np.void(plan.digest), places
    return records


@cache
def _transaction_dtype(places: int) -> np.dtype[np.void]:
    return np.dtype([*TRANSACTION_HEAD.descr, *((str(place), f"V{STATE_KEY_BYTES}") for place in range(places))])


def fraud_layouts(plan: Plan) -> list[int]:
    """The positions of the layouts of a plan whose states labels change."""
    return [place for place, layout in enumerate(plan.layouts) if layout.delay is not None]


def parse_states(layout: RecordLayout, sizes: NDArray[np.int64], states: bytes) -> StoredRecords:
    """The joined states of entities 0, 1, ... as records, given the bytes of each; a damaged one counts as empty."""
    counts, rest = np.divmod(sizes, layout.dtype.itemsize)
    if rest.any():
        ends = np.cumsum(sizes)
        whole = np.flatnonzero(rest == 0).tolist()
        states = b"".join([states[ends[place] - sizes[place] : ends[place]] for place in whole])
        counts[rest > 0] = 0
    return StoredRecords(np.arange(len(sizes)).repeat(counts), np.frombuffer(states, layout.dtype))


def merged_by_entity(
    layout: RecordLayout, codes: NDArray[np.int64], records: Records
) -> tuple[NDArray[np.int64], list[bytes]]:
    """What rows add to the states of their entities: the entities' codes, and the merged records of each as bytes."""
    if len(codes) == 1:
        return codes, [records.tobytes()]
    merged_keys, merged = layout.merged(sort_keys(codes, records["bucket"]), records)
    distinct, begins = np.unique(merged_keys >> CODE_BITS, return_index=True)
    data, size = merged.tobytes(), layout.dtype.itemsize
    spans = zip(begins.tolist(), [*begins[1:].tolist(), len(merged)], strict=False)
    return distinct, [data[begin * size : end * size] for begin, end in spans]

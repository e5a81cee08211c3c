"""Keys, records and scripts of what Redis keeps of transactions, shared by the gateway and `fraud history`. No I/O.

Keys are named by keyed hashes (`history.keyed_hash`) or at random: no card, customer or transaction is named in Redis,
or can be looked up by anybody without the key. Labels have two more kinds of keys (`history.label_update`), large
batches two (`history.journal`), loads one (`operations.history.load`).

fraud:h:<layout><entity>   the state of one entity: records (`history.layout`), appended to, and merged now and then
fraud:k:<slot>             which transactions are known, and where the rest of them stands (`history.known_ids`)
fraud:b:<block>            the transactions of one request: times, and states (`history.transaction_blocks`)
fraud:v:<block><chunk>     their history values, for repeats (`history.stored_values`)
fraud:a:<block>            what was answered to them, against which labels are counted
fraud:plans                by the digest of each plan that was used, as blocks name it: the digests of its layouts

A transaction of a small batch enters by the script ENTER: it is noted and counted at once or, where it is known
already, not at all. Those of a large batch enter by journals.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from history.keyed_hash import HistoryKey
from history.known_ids import FINDING, NOTING, SLOT_SECONDS
from history.layout import CODE_BITS, DIGEST_BYTES, ENTITY_BYTES, RecordLayout, Records, sort_keys
from history.plan import Plan
from history.short_records import encode_records
from history.stored_values import CHUNK_ROWS
from history.transaction_blocks import BLOCK_FORMAT, KEY_ENTITY, NO_CHECKSUM, STATE_KEY_BYTES

STATE_KEY = np.dtype([("layout", f"V{DIGEST_BYTES}"), ("entity", f"V{ENTITY_BYTES}")])
STATE, BLOCK, VALUES, ANSWERS = b"fraud:h:", b"fraud:b:", b"fraud:v:", b"fraud:a:"
PLANS = b"fraud:plans"
PLANS_SECONDS = 500 * 86_400
"""For which plans are kept after the last one was registered: a transaction is known for 401 days at most."""
Argument = bytes | str | int
"""An argument of a script."""
Arguments = tuple[Argument, ...]
NO_VALUES, AWAITED_VALUES = 0xFFFFFFFF, 0xFFFFFFFE
"""In the place of a row: its transaction has no values and gets none, as one that was loaded; or they are to come."""
IN_FLIGHT_SECONDS = 60
"""Longer than any request takes: a transaction that entered earlier and has no values gets none any more."""
PASSED, FLAGGED = 0, 1
ANSWER = np.dtype([("answer", "u1"), ("version", "<u4")])
"""An answer as it is stored with a label; and in fraud:a: where several versions answered one request."""
ONE_VERSION = 2
"""The first byte of answers that are all of one version: it follows, then a byte for each."""

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
    + FINDING
    + NOTING
    + """
-- ARGV: 'enter', 'look' or 'find'; ids; what is noted of them; seconds for which it is; keys to read; keys to append
-- to; how many bytes to each; the bytes; seconds until states expire; a block's name and the block; and, of a load, a
-- key of progress, what it must be and what it becomes.
-- Returns the places of known transactions, their plans, the rows of their values in chunks of values (or why there
-- are none), the numbers of these chunks; then the sizes of the states that were read, and the states; then the epoch
-- of all that, and whether its past is just being loaded (`history.epoch`); then checksums that tell known transactions
-- from others with their ids; then the chunks or, of 'find', the keys under which they should be: the rows of a file
-- stand in any order, and would have each chunk read by each call.
-- Where a transaction is known, none of the call enters.
-- A chunk that is there and empty stands for values that were not worth keeping: its transactions never had any. So
-- it is with one that is not there, where the block entered too long ago for anybody to be about to write it.
local mode, joined, wheres, keep, reads, writes, lengths, bytes, expire, name, block = unpack(ARGV, 1, 11)
keep, expire = tonumber(keep), tonumber(expire)
if ARGV[12] and (redis.call('GET', ARGV[12]) or '') ~= ARGV[13] then return {'moved'} end
local sizes, states = {}, {}
local about = redis.call('MGET', 'fraud:epoch', 'fraud:loading')
for i = 1, 2 do about[i] = about[i] or '' end
for i = 1, #reads / 24 do
  local state = redis.call('GET', 'fraud:h:' .. string.sub(reads, i * 24 - 23, i * 24)) or ''
  sizes[i], states[i] = struct.pack('<I4', #state), state
end
local ids = split(joined)
local _, noted, old, any = find(ids)
local places, plans, rows, numbers, chunks, by_name = {}, {}, {}, {}, {}, {}
local sums, blocks = {}, {}
local function block_of(id)
  if blocks[id] then return blocks[id] end
  local key = 'fraud:b:' .. id
  local head = redis.call('GETRANGE', key, 0, 24)
  local block = {key = key, head = head, cells = {}, entities = {}, size = 0}
  if #head == 25 and string.byte(head) == BLOCK_FORMAT then
    local states, seconds, code, rows = struct.unpack('<BBBI4', head, 11)
    block.states, block.seconds, block.number, block.code = states, seconds, '<I' .. code, code
    block.size, block.base = seconds + states * code, struct.unpack('<d', head, 18)
    block.keys = 25 + rows * block.size
  end
  blocks[id] = block
  return block
end
local function entity(block, number)
  local at = block.keys + 24 * number + KEY_ENTITY
  local bytes = redis.call('GETRANGE', block.key, at, at + 1)
  block.entities[number] = #bytes == 2 and struct.unpack('<I2', bytes) or 0
  return block.entities[number]
end
local function checksum(block, row)
  -- Cells are read for many rows at once: those of a file mostly come together.
  local size, chunk = block.size, math.floor(row / CHUNK_ROWS)
  if size == 0 then return NO_CHECKSUM end
  local cells, at = block.cells[chunk], row % CHUNK_ROWS * size + 1
  if not cells then
    local first = 25 + chunk * CHUNK_ROWS * size
    cells = redis.call('GETRANGE', block.key, first, first + CHUNK_ROWS * size - 1)
    block.cells[chunk] = cells
  end
  if #cells < at + size - 1 then return NO_CHECKSUM end
  local time = struct.unpack(block.seconds == 8 and '<d' or '<I4', cells, at)
  if block.seconds == 4 then time = time + block.base end
  local sum = time == time and math.floor(time) % 65536 or 0
  for state = 1, block.states do
    local number = struct.unpack(block.number, cells, at + block.seconds + (state - 1) * block.code)
    if number > 0 then sum = bit.bxor(sum, block.entities[number] or entity(block, number)) end
  end
  return sum == NO_CHECKSUM and 0 or sum
end
local function add(place, plan, row, chunk)
  local n = #places + 1
  places[n], plans[n] = struct.pack('<I4', place - 1), plan
  rows[n], numbers[n] = struct.pack('<I4', row), struct.pack('<I4', chunk)
end
local function missing(key, seconds)
  local left = redis.call('TTL', key)
  return left >= 0 and left < seconds - IN_FLIGHT_SECONDS and NO_VALUES or AWAITED_VALUES
end
local function add_noted(place, where)
  local id, row = string.sub(where, 1, 12), struct.unpack('<I4', where, 13)
  local block = block_of(id)
  local head = block.head
  sums[#sums + 1] = struct.pack('<I2', checksum(block, row))
  if #head < 10 or string.byte(head, 10) == 0 then
    return add(place, #head < 10 and string.rep('\\0', 8) or string.sub(head, 2, 9), NO_VALUES, 0)
  end
  local key = 'fraud:v:' .. id .. struct.pack('<I4', math.floor(row / CHUNK_ROWS))
  if not by_name[key] then
    local chunk = mode == 'find' and key or redis.call('GET', key)
    if not chunk or chunk == '' then
      by_name[key] = {chunk and NO_VALUES or missing(block.key, keep + SLOT_SECONDS)}
    else
      chunks[#chunks + 1] = chunk
      by_name[key] = {false, #chunks - 1}
    end
  end
  local reason, number = unpack(by_name[key])
  add(place, string.sub(head, 2, 9), reason or row % CHUNK_ROWS, number or 0)
end
local function add_old(place, record)
  sums[#sums + 1] = struct.pack('<I2', NO_CHECKSUM)
  local index, width = struct.unpack('<I4I2', record, 39)
  local key, plan = 'fraud:v:' .. string.sub(record, 27, 38), string.sub(record, 19, 26)
  local found = redis.call('GETRANGE', key, index * width * 8, (index + 1) * width * 8 - 1)
  if found ~= '' then
    chunks[#chunks + 1] = '\\0' .. found
    return add(place, plan, 0, #chunks - 1)
  end
  local never = width == 0 or redis.call('EXISTS', key) == 1
  add(place, plan, never and NO_VALUES or missing('fraud:t:' .. ids[place], keep), 0)
end
if any then
  for i = 1, #ids do
    if noted[i] then add_noted(i, noted[i]) elseif old[i] then add_old(i, old[i]) end
  end
end
if mode == 'enter' and any then sizes, states = {}, {} end
if mode == 'enter' and not any then
  if #ids > 0 then
    local size, pairs = #wheres / #ids, {}
    for i = 1, #ids do
      pairs[2 * i - 1], pairs[2 * i] = ids[i], string.sub(wheres, (i - 1) * size + 1, i * size)
    end
    redis.call('SET', 'fraud:b:' .. name, block, 'EX', keep + SLOT_SECONDS)
    note(name, keep, pairs)
  end
  append_all(redis.call, writes, lengths, bytes, expire)
  if ARGV[12] then redis.call('SET', ARGV[12], ARGV[14], 'EX', expire) end
end
return {
  table.concat(places), table.concat(plans), table.concat(rows), table.concat(numbers), table.concat(sizes),
  table.concat(states), about[1], about[2], table.concat(sums), unpack(chunks),
}
""".replace("IN_FLIGHT_SECONDS", str(IN_FLIGHT_SECONDS))
    .replace("NO_VALUES", str(NO_VALUES))
    .replace("BLOCK_FORMAT", str(BLOCK_FORMAT))
    .replace("NO_CHECKSUM", str(NO_CHECKSUM))
    .replace("KEY_ENTITY", str(KEY_ENTITY))
    .replace("AWAITED_VALUES", str(AWAITED_VALUES))
    .replace("CHUNK_ROWS", str(CHUNK_ROWS))
    .replace("SLOT_SECONDS", str(SLOT_SECONDS))
)
"""Reads states, looks transactions up and enters them, in one step. States are read first: where that fails, nothing
is written."""

STORE_VALUES = """
-- ARGV: a block, seconds that its values are kept, the number of the first chunk, and chunks. An empty one: its values
-- were not worth keeping.
for i = 4, #ARGV do
  redis.call('SET', 'fraud:v:' .. ARGV[1] .. struct.pack('<I4', ARGV[3] + i - 4), ARGV[i], 'EX', ARGV[2])
end
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


def encode_answers(flagged: NDArray[np.bool_], versions: NDArray[np.int64]) -> bytes:
    """What is stored of the answers to a request: was each flagged, and by which version; shape (rows,)."""
    if (versions == versions[0]).all():
        return struct.pack("<BI", ONE_VERSION, versions[0]) + flagged.astype(np.uint8).tobytes()
    answers = np.empty(len(flagged), ANSWER)
    answers["answer"], answers["version"] = np.where(flagged, FLAGGED, PASSED), versions
    return answers.tobytes()


def state_keys(layout: RecordLayout, entities: Sequence[str], key: HistoryKey) -> NDArray[np.void]:
    """The key of each entity's state, without the prefix STATE; shape (entities,)."""
    digests = key.entities.digests(entities)
    both = np.empty(len(digests), STATE_KEY)
    both["layout"], both["entity"] = np.void(layout.digest), digests
    return both.view(f"V{STATE_KEY_BYTES}")


def plan_registration(plans: Iterable[Plan]) -> tuple[Arguments, Arguments]:
    """The commands that register plans, of which there must be one: what `registered_layouts` reads."""
    fields = (part for plan in plans for part in (plan.digest, b"".join(layout.digest for layout in plan.layouts)))
    return ("HSET", PLANS, *fields), ("EXPIRE", PLANS, PLANS_SECONDS)


def registered_layouts(registered: Mapping[bytes, bytes]) -> dict[bytes, frozenset[bytes]]:
    """The digests of the layouts of each plan, by its digest, given what PLANS holds."""
    return {
        plan: frozenset(layouts[at : at + DIGEST_BYTES] for at in range(0, len(layouts), DIGEST_BYTES))
        for plan, layouts in registered.items()
    }


def fraud_layouts(plan: Plan) -> list[int]:
    """The positions of the layouts of a plan whose states labels change."""
    return [place for place, layout in enumerate(plan.layouts) if layout.delay is not None]


def merged_by_entity(
    layout: RecordLayout, codes: NDArray[np.int64], records: Records
) -> tuple[NDArray[np.int64], list[bytes]]:
    """What rows add to the states of their entities: the entities' codes, and the merged records of each as bytes."""
    if len(codes) == 1:
        return encode_records(layout, codes, records)
    merged_keys, merged = layout.merged(sort_keys(codes, records["bucket"]), records)
    return encode_records(layout, merged_keys >> CODE_BITS, merged)

"""How the rows of a large batch enter Redis: as journals, which are registered, claimed and applied. No I/O.

A journal holds what a block of rows adds to the states. To claim one sets it and notes the ids of its transactions in
one step; what all journals of a batch add is then appended to each state once, by the script APPLY. Where that is more
than one call should do, the states are cut into parts by their entities, and each call does one part of all journals.

Rules:

1. A transaction is claimed once: CLAIM notes all ids of a block and sets its journal or, where one of the transactions
   is known, does nothing.
2. What was claimed is applied once, part by part. The first byte of a journal counts the parts that have been, and each
   script that appends counts on in the same step; APPLY appends nothing where one of its journals is at another part.
3. What was claimed is applied even if its gateway dies: a journal is registered in fraud:due before it is claimed, and
   after ABANDONED_SECONDS any gateway applies it by RECOVER.
4. A journal is finished once. RECOVER takes it out of fraud:due, applies the parts that are left and deletes it; where
   it was never claimed, RECOVER sets a mark in its place, so that a late CLAIM is refused: nobody would recover it.
5. Journals are named by chance and a number, so that no two batches share one.
6. A key that holds no state is passed over and the others are appended to all the same; APPLY returns how many.

fraud:j:<block><number>   a journal: a byte, FIRST_PART and one more for each part that has been applied; how many parts
                          there are; then what RECOVER needs
fraud:due                 the journals by the second, of their gateway's clock, from which RECOVER takes care of them
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from history.keyed_hash import ID_BYTES, HistoryKey
from history.known_ids import BLOCK_ID_BYTES, FINDING, NOTING, SLOT_SECONDS, WHERE
from history.layout import DIGEST_BYTES, Records
from history.redis_schema import APPENDING, BLOCK, Arguments
from history.transaction_blocks import STATE_KEY_BYTES

JOURNAL, DUE = b"fraud:j:", b"fraud:due"
NAME_BYTES = BLOCK_ID_BYTES + 4
FIRST_PART, MAX_PARTS = 2, 200
"""A journal begins with a smaller byte where a release before has written it."""
ABANDONED_SECONDS = 5
"""After which any gateway may apply a journal: its own would have done it in a fraction of a second."""
END = b"\r\n"
WHERE_BYTES = f"V{WHERE.itemsize}"
IdRows = tuple[NDArray[np.void], NDArray[np.void]]

REGISTER = """
-- ARGV: names of journals; the second from which they are due; a block's name, the block, and seconds that it is kept.
for i = 1, #ARGV[1], 16 do redis.call('ZADD', 'fraud:due', ARGV[2], string.sub(ARGV[1], i, i + 15)) end
redis.call('SET', ARGV[3], ARGV[4], 'EX', ARGV[5])
"""
"""Sent before the journals are claimed (rule 3)."""

CLAIM = (
    FINDING
    + NOTING
    + """
-- ARGV: seconds that ids are known; a journal and what it holds; then each id and what is noted of it.
-- Returns 1 where none of them was there, else 0; and where their block is gone, as from an emptied Redis.
if redis.call('EXISTS', ARGV[2]) == 1 then return 0 end
local ids = {}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local _, _, _, any = find(ids)
if any then return 0 end
if #ids > 0 and not note(string.sub(ARGV[5], 1, 12), tonumber(ARGV[1]), {unpack(ARGV, 4)}) then return 0 end
redis.call('SET', ARGV[2], ARGV[3])
return 1
"""
)
"""A script, so that it is guarded by the key: in a Redis that is emptied after a batch was registered, what is claimed
without a key would look like the records of a release without one, and no gateway would use that Redis again."""

APPLY = (
    APPENDING
    + """
-- ARGV: names of journals; the part, from 0; how many parts; keys of states in it; how many bytes to each; the bytes;
-- seconds until states expire; now.
-- Returns 0 where a journal is at another part: then nothing is done. Else one more than the keys that hold no state.
local names, part = ARGV[1], tonumber(ARGV[2])
for i = 1, #names, 16 do
  local key = 'fraud:j:' .. string.sub(names, i, i + 15)
  if redis.call('GETRANGE', key, 0, 0) ~= string.char(FIRST_PART + part) then return 0 end
end
local next_part, last = string.char(FIRST_PART + part + 1), part + 1 == tonumber(ARGV[3])
for i = 1, #names, 16 do
  local name = string.sub(names, i, i + 15)
  redis.call('SETRANGE', 'fraud:j:' .. name, 0, next_part)
  if last then redis.call('ZADD', 'fraud:due', ARGV[8] + 1, name) end
end
return 1 + append_all(redis.pcall, ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]))
""".replace("FIRST_PART", str(FIRST_PART))
)
"""Appends what journals add to the states of a part, merged, so that each state is appended to once; a second after the
last part RECOVER finishes them."""

RECOVER = (
    APPENDING
    + """
-- ARGV: now.
-- Takes the journal that has been due for longest, and applies the parts of it that nobody has.
-- Returns how many it took: 1 or 0.
local name = redis.call('ZRANGEBYSCORE', 'fraud:due', '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not name then return 0 end
redis.call('ZREM', 'fraud:due', name)
local head = redis.call('GETRANGE', 'fraud:j:' .. name, 0, 12)
if #head < 6 or (string.byte(head) < FIRST_PART and #head < 13) then
  redis.call('SET', 'fraud:j:' .. name, '\\1', 'EX', 3600)
  return 1
end
local applied, parts, expire, place = string.byte(head) - FIRST_PART, 1, 0, 7
if applied >= 0 then
  parts, expire = struct.unpack('<BI4', head, 2)
end
local journal = applied < parts and redis.call('GET', 'fraud:j:' .. name) or ''
if applied < 0 then
  -- Of a release before: its transactions are keys of their own, which expire once it is recovered.
  local keep, before, count
  keep, before, count, place = struct.unpack('<I4I4I4', journal, 2)
  expire = before
  for i = 1, count do
    redis.call('EXPIRE', 'fraud:t:' .. string.sub(journal, place, place + 15), keep)
    place = place + 16
  end
  if applied == 1 - FIRST_PART then journal = '' end
  applied = 0
end
while place <= #journal do
  local rows, size, begin = struct.unpack('<I4I4', journal, place)
  for i = 1, rows do
    local finish = begin + 23 + size
    if math.floor(string.byte(journal, begin + 8) * parts / 256) >= applied then
      append(redis.pcall, string.sub(journal, begin, begin + 23), string.sub(journal, begin + 24, finish), expire)
    end
    begin = finish + 1
  end
  place = begin
end
redis.call('UNLINK', 'fraud:j:' .. name)
return 1
""".replace("FIRST_PART", str(FIRST_PART))
)
"""Finishes the journal that has been due for longest, a moment after the reply to its file (rules 3 and 4)."""


def state_parts(keys: NDArray[np.void], parts: int) -> NDArray[np.int64]:
    """The part of each state, by the first byte of its entity's digest; shape (keys,). RECOVER computes the same."""
    first: NDArray[np.uint8] = keys.view(np.uint8).reshape(-1, STATE_KEY_BYTES)[:, DIGEST_BYTES]
    return (first.astype(np.int64) * parts) >> 8


def encode_journal(expire: int, parts: int, layouts: Iterable[tuple[NDArray[np.void], Records]]) -> bytes:
    """A journal that is not applied.

    Args:
        expire: seconds until a state expires.
        parts: into how many the states are cut, at most MAX_PARTS.
        layouts: for each layout the key of each row's state, and the row's record.
    """
    written = [struct.pack("<BBI", FIRST_PART, parts, expire)]
    for keys, records in layouts:
        rows = np.empty(len(keys), [("key", f"V{STATE_KEY_BYTES}"), ("record", f"V{records.dtype.itemsize}")])
        rows["key"], rows["record"] = keys, records.view(rows.dtype["record"])
        written += [struct.pack("<II", len(keys), records.dtype.itemsize), rows.tobytes()]
    return b"".join(written)


def register_arguments(names: Sequence[bytes], now: float, block_id: bytes, block: bytes, keep: int) -> Arguments:
    """The arguments of REGISTER for journals of these names, which are due ABANDONED_SECONDS from now.

    `block` is what Redis keeps of their transactions for as long as they are known, `keep` seconds.
    """
    return b"".join(names), int(now + ABANDONED_SECONDS), BLOCK + block_id, block, keep + SLOT_SECONDS


def claim_command(key: HistoryKey, keep: int, journal: tuple[bytes, bytes], ids: IdRows) -> bytes:
    """The command that runs CLAIM: it replies 1 where the journal was set and all ids were noted, 0 where one existed.

    In Redis' own protocol, since all ids and all that is noted of them have one length each: numpy writes those of a
    file in 2 ms, a client would take ten times as long for so many arguments.

    Args:
        key: of the digests.
        keep: seconds that the transactions are known.
        journal: its name, and what it holds.
        ids: digests of those of its transactions that have an id, and what is noted of each; shape (ids,) each.
    """
    begins, middle = b"$%d\r\n" % ID_BYTES, b"\r\n$%d\r\n" % WHERE.itemsize
    digests, noted = ids
    parts = [("key", begins), ("id", digests), ("middle", middle), ("noted", noted.view(WHERE_BYTES)), ("end", END)]
    widths = (len(begins), ID_BYTES, len(middle), WHERE.itemsize, len(END))
    rows = np.empty(len(digests), [(part, f"V{width}") for (part, _), width in zip(parts, widths, strict=True)])
    for part, values in parts:
        rows[part] = np.void(values) if isinstance(values, bytes) else values
    begin = [b"EVAL", key.guarded(CLAIM).encode(), b"0", b"%d" % keep, JOURNAL + journal[0], journal[1]]
    return _command(begin, 2 * len(digests)) + rows.tobytes()


def _command(parts: Sequence[bytes], more: int = 0) -> bytes:
    """The beginning of a command in Redis' protocol: these parts, which `more` others will follow."""
    return b"*%d\r\n" % (len(parts) + more) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)

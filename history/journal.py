"""How the rows of a large batch enter Redis: as journals, which are registered, claimed and applied. No I/O.

A journal holds what a block of rows adds to the states. To claim one sets it and the records of its transactions in
one step; what all journals of a batch add is then appended to each state once, by the script APPLY.

Rules:

1. A transaction is claimed once: CLAIM sets all records of a block and its journal or, where one of the transactions is
   known, nothing.
2. What was claimed is applied once. The first byte of a journal says whether it has been, and each script that
   appends sets it in the same step; APPLY appends nothing where one of its journals has been applied.
3. What was claimed is applied even if its gateway dies: a journal is registered in fraud:due before it is claimed, and
   after ABANDONED_SECONDS any gateway applies it by RECOVER.
4. A journal is finished once. RECOVER takes it out of fraud:due, lets its transactions expire and deletes it; where it
   was never claimed, RECOVER sets a mark in its place, so that a late CLAIM is refused: nobody would recover it.
5. Journals are named by chance and a number, so that no two batches share one.
6. A key that holds no state is passed over and the others are appended to all the same; APPLY returns how many.

Measured, microseconds of Valkey's time a row with its append-only file on: 2.7 to claim (1.2 without a script, which no
key would guard), 0.7 to apply; 6 with one script for each block that notes, expires and appends.

fraud:j:<block><number>   a journal: a byte, 1 where it has been applied; then what RECOVER needs
fraud:due                 the journals by the second, of their gateway's clock, from which RECOVER takes care of them
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from history.keyed_hash import ID_BYTES, HistoryKey
from history.layout import Records
from history.redis_schema import APPENDING, BLOCK_ID_BYTES, STATE_KEY_BYTES, TRANSACTION, Arguments

JOURNAL, DUE = b"fraud:j:", b"fraud:due"
NAME_BYTES = BLOCK_ID_BYTES + 4
ABANDONED_SECONDS = 5
"""After which any gateway may apply a journal: its own would have done it in a fraction of a second."""
END = b"\r\n"

REGISTER = """
-- ARGV: names of journals; the second from which they are due.
for i = 1, #ARGV[1], 16 do redis.call('ZADD', 'fraud:due', ARGV[2], string.sub(ARGV[1], i, i + 15)) end
"""
"""Sent before the journals are claimed (rule 3)."""

CLAIM = """
-- ARGV: a journal and what it holds, then likewise each transaction. Returns 1 where none of them was there, else 0.
return redis.call('MSETNX', unpack(ARGV))
"""
"""A script, so that it is guarded by the key: in a Redis that is emptied after a batch was registered, what is claimed
without a key would look like the records of a release without one, and no gateway would use that Redis again."""

APPLY = (
    APPENDING
    + """
-- ARGV: names of journals; keys to append to; how many bytes to each; the bytes; seconds until states expire; now.
-- Returns 0 where a journal was applied before: then nothing is. Else one more than the keys that hold no state.
local names, count = ARGV[1], #ARGV[1] / 16
for i = 1, count do
  local key = 'fraud:j:' .. string.sub(names, i * 16 - 15, i * 16)
  if redis.call('GETRANGE', key, 0, 0) ~= '\\0' then return 0 end
end
for i = 1, count do redis.call('ZADD', 'fraud:due', ARGV[6] + 1, string.sub(names, i * 16 - 15, i * 16)) end
for i = 1, count do redis.call('SETRANGE', 'fraud:j:' .. string.sub(names, i * 16 - 15, i * 16), 0, '\\1') end
return 1 + append_all(redis.pcall, ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]))
"""
)
"""Appends what journals add, merged, so that each state is appended to once; a second later RECOVER finishes them."""

RECOVER = (
    APPENDING
    + """
-- ARGV: now.
-- Takes the journal that has been due for longest: applies it where nobody has, and lets its transactions expire.
-- Returns how many it took: 1 or 0.
local name = redis.call('ZRANGEBYSCORE', 'fraud:due', '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not name then return 0 end
redis.call('ZREM', 'fraud:due', name)
local journal = redis.call('GET', 'fraud:j:' .. name)
if not journal or #journal < 13 then
  redis.call('SET', 'fraud:j:' .. name, '\\1', 'EX', 3600)
  return 1
end
local applied, keep, expire, count, place = struct.unpack('<BI4I4I4', journal)
for i = 1, count do
  redis.call('EXPIRE', 'fraud:t:' .. string.sub(journal, place, place + 15), keep)
  place = place + 16
end
while applied == 0 and place <= #journal do
  local rows, size, begin = struct.unpack('<I4I4', journal, place)
  for i = 1, rows do
    local finish = begin + 23 + size
    append(redis.pcall, string.sub(journal, begin, begin + 23), string.sub(journal, begin + 24, finish), expire)
    begin = finish + 1
  end
  place = begin
end
redis.call('UNLINK', 'fraud:j:' .. name)
return 1
"""
)
"""Finishes the journal that has been due for longest, a moment after the reply to its file (rules 3 and 4)."""


def encode_journal(
    keep: int, expire: int, ids: NDArray[np.void], layouts: Iterable[tuple[NDArray[np.void], Records]]
) -> bytes:
    """A journal that is not applied.

    Args:
        keep: seconds that the block's transactions are known.
        expire: seconds until a state expires.
        ids: digests of those of its transactions that have an id, shape (ids,).
        layouts: for each layout the key of each row's state, and the row's record.
    """
    parts = [struct.pack("<BIII", 0, keep, expire, len(ids)), ids.tobytes()]
    for keys, records in layouts:
        rows = np.empty(len(keys), [("key", f"V{STATE_KEY_BYTES}"), ("record", f"V{records.dtype.itemsize}")])
        rows["key"], rows["record"] = keys, records.view(rows.dtype["record"])
        parts += [struct.pack("<II", len(keys), records.dtype.itemsize), rows.tobytes()]
    return b"".join(parts)


def register_arguments(names: Sequence[bytes], now: float) -> Arguments:
    """The arguments of REGISTER for journals of these names, which are due ABANDONED_SECONDS from now."""
    return b"".join(names), int(now + ABANDONED_SECONDS)


def claim_command(
    key: HistoryKey, name: bytes, journal: bytes, ids: NDArray[np.void], records: NDArray[np.void]
) -> bytes:
    """The command that runs CLAIM: it replies 1 where the journal and all records were set, 0 where one existed.

    In Redis' own protocol, since all keys and all records have one length each: numpy writes those of a file in 2 ms,
    a client would take ten times as long for so many arguments.
    """
    begins = b"$%d\r\n" % (len(TRANSACTION) + ID_BYTES) + TRANSACTION
    middle, size = b"\r\n$%d\r\n" % records.dtype.itemsize, records.dtype.itemsize
    parts = [("key", begins), ("id", ids), ("middle", middle), ("record", records.view(f"V{size}")), ("end", END)]
    widths = (len(begins), ID_BYTES, len(middle), size, len(END))
    rows = np.empty(len(ids), [(part, f"V{width}") for (part, _), width in zip(parts, widths, strict=True)])
    for part, values in parts:
        rows[part] = np.void(values) if isinstance(values, bytes) else values
    begin = [b"EVAL", key.guarded(CLAIM).encode(), b"0", JOURNAL + name, journal]
    return _command(begin, 2 * len(ids)) + rows.tobytes()


def _command(parts: Sequence[bytes], more: int = 0) -> bytes:
    """The beginning of a command in Redis' protocol: these parts, which `more` others will follow."""
    return b"*%d\r\n" % (len(parts) + more) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)

"""How the rows of a large batch enter: claimed in blocks, each with a journal of what it adds, which is then applied.

A claim notes all transactions of a block and the journal, or nothing where one of them is known. What all blocks add
is then appended to each state once, by a script that holds the journals against it: a journal is applied once, by its
own gateway or, where that has died, by any (`SETTLE`), which also lets the transactions expire. Measured, microseconds
of Valkey's time a row with its append-only file on: 2.7 to claim (1.2 without a script, which no key would guard), 0.7
to apply; 6 with one script for each block that notes, expires and appends. No I/O.

fraud:j:<block><number>   a journal: a byte, 1 where it has been applied; then what SETTLE needs
fraud:due                 the journals by the second, of their gateway's clock, from which SETTLE takes care of them
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from history.keyed_hash import ID_BYTES, HistoryKey
from history.layout import Records
from history.redis_schema import APPENDING, BLOCK_BYTES, STATE_KEY_BYTES, TRANSACTION, Argument

JOURNAL, DUE = b"fraud:j:", b"fraud:due"
NAME_BYTES = BLOCK_BYTES + 4
ABANDONED_SECONDS = 5
"""After which a journal that was not applied is anybody's: its gateway would have done it in a fraction of one."""
END = b"\r\n"

BOOK = """
-- ARGV: names of journals; the second from which they are due.
for i = 1, #ARGV[1], 16 do redis.call('ZADD', 'fraud:due', ARGV[2], string.sub(ARGV[1], i, i + 15)) end
"""
"""Before they are claimed: what is not booked cannot be claimed."""

CLAIM = """
-- ARGV: a journal and what it holds, then likewise each transaction. Returns 1 where none of them was there, else 0.
return redis.call('MSETNX', unpack(ARGV))
"""
"""A script, so that it is guarded by the key: in a Redis that is emptied after a batch was booked, what is claimed
without a key would look like what a release without one remembered, and no gateway would use that Redis again."""

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
"""What journals say, merged: each state is appended to once. Their transactions expire a second later. A key that holds
no state is passed over, and counted; SETTLE, where there is nobody any more whom it could tell, only passes over it."""

SETTLE = (
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
"""What is left to do for a file, a moment after its reply or, where its gateway has died, instead of it.

A claim that comes later, since clocks differ or it was on its way, is refused: nobody would look for it.
"""


def journal(keep: int, expire: int, ids: NDArray[np.void], added: Iterable[tuple[NDArray[np.void], Records]]) -> bytes:
    """What a block of rows adds, not applied.

    Args:
        keep: seconds that its transactions are known.
        expire: seconds until a state expires.
        ids: of its transactions that have one.
        added: for each layout the key of each row's state, and the row's record.
    """
    parts = [struct.pack("<BIII", 0, keep, expire, len(ids)), ids.tobytes()]
    for keys, records in added:
        rows = np.empty(len(keys), [("key", f"V{STATE_KEY_BYTES}"), ("record", f"V{records.dtype.itemsize}")])
        rows["key"], rows["record"] = keys, records.view(rows.dtype["record"])
        parts += [struct.pack("<II", len(keys), records.dtype.itemsize), rows.tobytes()]
    return b"".join(parts)


def booked(names: Sequence[bytes], now: float) -> tuple[Argument, ...]:
    """The arguments of BOOK, which enters journals into the list of what is due, should nobody apply them."""
    return b"".join(names), int(now + ABANDONED_SECONDS)


def claim(key: HistoryKey, name: bytes, written: bytes, ids: NDArray[np.void], records: NDArray[np.void]) -> bytes:
    """The command that sets a journal and the records of transactions: all of them, or none where one is there.

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
    begin = [b"EVAL", key.guarded(CLAIM).encode(), b"0", JOURNAL + name, written]
    return _command(begin, 2 * len(ids)) + rows.tobytes()


def _command(parts: Sequence[bytes], more: int = 0) -> bytes:
    """A command in Redis' protocol, to be followed by so many more parts."""
    return b"*%d\r\n" % (len(parts) + more) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)

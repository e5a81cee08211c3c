"""Which transactions Redis knows, by their ids, and where the rest of them stands. No I/O.

fraud:k:<slot>   a hash of ids: for each the block and the row that its transaction has there, and its label if any
fraud:known      the slots that there are
fraud:format     exists where no record of a release before is left, which had one key for each transaction

An id is noted in the slot of the time at which it may be forgotten, rounded up to whole SLOT_SECONDS; a slot expires as
a whole. So it costs no command and no bytes to let one transaction expire, and an id is found whatever its own time
says: all slots are asked. A transaction is forgotten up to SLOT_SECONDS later than it could be.

Measured, bytes and microseconds of Valkey's time to claim an id in blocks of 500: 134 and 2.8 as keys of their own
(`MSETNX`), without the 2.6 that their expiry took; 54 and 1.9 as fields of a hash, 39 and 1.4 as members of a set that
says nothing of the transaction.
"""

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from history.keyed_hash import FORMAT_KEY
from history.layout import Rows
from history.transaction_blocks import BLOCK_HEAD, STATE_KEY_BYTES, row_dtype

KNOWN, SLOTS, TRANSACTION = b"fraud:k:", b"fraud:known", b"fraud:t:"
BLOCK_ID_BYTES = 12
FORMAT = 2
"""Of the records of releases before."""
SLOT_SECONDS = 10 * 86_400
WHERE = np.dtype([("block", f"V{BLOCK_ID_BYTES}"), ("row", "<u4")])
"""What is noted of an id; a LABEL follows where its transaction has one."""
LABEL = np.dtype([("label", "u1"), ("confirmed", "<f8")])
TRANSACTION_HEAD = np.dtype([
    ("format", "u1"), ("label", "u1"), ("confirmed", "<f8"), ("seconds", "<f8"),
    ("plan", BLOCK_HEAD["plan"]), ("block", f"V{BLOCK_ID_BYTES}"), ("index", "<u4"), ("width", "<u2"), ("places", "u1"),
])  # fmt: skip
"""The begin of a transaction's record, as releases before kept it and FIND_TRANSACTIONS' replies are read: its label
and when that was confirmed; its time; the plan of its values, their block, row and number. The keys of the states that
its label changes follow. The scripts know these offsets."""
SCAN_COUNT = 10_000
"""Keys that one SCAN looks at: a few milliseconds of Redis' time."""

FINDING = """
local function find(ids)
  -- By place: the slot of a known id and what is noted of it; its record by a release before; whether there are any.
  local slots, noted, old, any = {}, {}, {}, false
  if #ids == 0 then return slots, noted, old, any end
  for _, slot in ipairs(redis.call('ZRANGE', 'fraud:known', 0, -1)) do
    local found = redis.call('HMGET', 'fraud:k:' .. slot, unpack(ids))
    for i = 1, #ids do
      if found[i] then slots[i], noted[i], any = slot, found[i], true end
    end
  end
  if redis.call('EXISTS', 'fraud:format') == 0 then
    local keys = {}
    for i = 1, #ids do keys[i] = 'fraud:t:' .. ids[i] end
    if redis.call('EXISTS', unpack(keys)) > 0 then
      for i = 1, #ids do old[i] = not noted[i] and redis.call('GET', keys[i]) or nil end
      any = true
    end
  end
  return slots, noted, old, any
end
local function split(ids)
  local result = {}
  for i = 1, #ids / 16 do result[i] = string.sub(ids, i * 16 - 15, i * 16) end
  return result
end
"""
"""Lua functions: `split` makes a list of joined ids, `find` looks them up."""

NOTING = """
local function note(block, keep, pairs)
  -- Ids and what is noted of them, one after the other; false where their block is not there.
  -- The time is Redis' own, by the expiry of the block: TIME is a command that its user may not be allowed.
  local until_block = redis.call('EXPIRETIME', 'fraud:b:' .. block)
  if until_block < 0 then return false end
  local slot = math.ceil(until_block / SLOT_SECONDS) - 1
  local key, ends = string.format('fraud:k:%d', slot), slot * SLOT_SECONDS
  redis.call('HSET', key, unpack(pairs))
  if redis.call('TTL', key) < 0 then
    redis.call('EXPIREAT', key, ends)
    local now = until_block - keep - SLOT_SECONDS
    redis.call('ZREMRANGEBYSCORE', 'fraud:known', '-inf', math.floor(now / SLOT_SECONDS))
    redis.call('ZADD', 'fraud:known', slot, string.format('%d', slot))
    if redis.call('EXPIRETIME', 'fraud:known') < ends then redis.call('EXPIREAT', 'fraud:known', ends) end
  end
  return true
end
""".replace("SLOT_SECONDS", str(SLOT_SECONDS))
"""A Lua function that notes ids for as many seconds as their block is kept, less SLOT_SECONDS."""

FIND_TRANSACTIONS = (
    FINDING
    + """
-- ARGV: ids. Returns for each '' where it is not known, its record where a release before has written that, or
-- its label, what is noted of it, and of its block the head, its row and the keys of its states.
local ids, result = split(ARGV[1]), {}
local _, noted, old = find(ids)
for i = 1, #ids do
  result[i] = old[i] or ''
  if noted[i] then
    local key = 'fraud:b:' .. string.sub(noted[i], 1, 12)
    local row, head = struct.unpack('<I4', noted[i], 13), redis.call('GETRANGE', key, 0, 24)
    if #head == 25 then
      local places, seconds, code, rows = struct.unpack('<BBBI4', head, 11)
      local size = seconds + places * code
      local cells, parts = redis.call('GETRANGE', key, 25 + row * size, 24 + (row + 1) * size), {}
      for place = 1, places do
        local number = struct.unpack('<I' .. code, cells, seconds + (place - 1) * code + 1)
        local at = 25 + rows * size + number * 24
        parts[place] = redis.call('GETRANGE', key, at, at + 23)
      end
      local label = #noted[i] > 16 and string.sub(noted[i], 17) or string.rep('\\0', 9)
      result[i] = '\\3' .. label .. string.sub(noted[i], 1, 16) .. head .. cells .. table.concat(parts)
    end
  end
end
return result
"""
)
"""Reads what a label needs of its transaction."""


def noted(block: bytes, rows: Rows) -> NDArray[np.void]:
    """What is noted of the transactions in these rows of a block."""
    result = np.empty(len(rows), WHERE)
    result["block"], result["row"] = np.void(block), rows
    return result


def record_of(reply: bytes) -> bytes:
    """A reply of FIND_TRANSACTIONS as a record: a TRANSACTION_HEAD and the keys of states; b"" where it is none."""
    begin = 1 + LABEL.itemsize + WHERE.itemsize
    if reply[:1] != b"\3" or len(reply) < begin + BLOCK_HEAD.itemsize:
        return reply
    head, row_at = np.frombuffer(reply, BLOCK_HEAD, 1, begin)[0], begin + BLOCK_HEAD.itemsize
    row = row_dtype(head)
    if len(reply) != row_at + row.itemsize + STATE_KEY_BYTES * head["places"]:
        return b""
    seconds = np.frombuffer(reply, row, 1, row_at)[0]["seconds"]
    label, where = np.frombuffer(reply, LABEL, 1, 1)[0], np.frombuffer(reply, WHERE, 1, 1 + LABEL.itemsize)[0]
    record = np.zeros(1, TRANSACTION_HEAD)
    record["format"], record["label"], record["confirmed"] = FORMAT, label["label"], label["confirmed"]
    record["seconds"] = seconds + head["base"] if row["seconds"].itemsize < LABEL["confirmed"].itemsize else seconds
    record["plan"], record["places"] = head["plan"], head["places"]
    record["block"], record["index"] = where["block"], where["row"]
    return record.tobytes() + reply[row_at + row.itemsize :]


def close_old_format() -> Generator[tuple[Any, ...], Any, None]:
    """Commands, one after the other, each sent its reply: notes that no record of a release before is left."""
    if (yield ("EXISTS", FORMAT_KEY)):
        return
    cursor: bytes | int = -1
    while cursor == -1 or int(cursor):
        cursor, keys = yield ("SCAN", max(int(cursor), 0), "MATCH", TRANSACTION + b"*", "COUNT", SCAN_COUNT)
        if keys:
            return
    yield ("SET", FORMAT_KEY, b"3")

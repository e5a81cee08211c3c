"""What Redis keeps of the transactions of one request beside their ids: times, and the states that labels change.

A block is one string, `fraud:b:<block>`: a BLOCK_HEAD; a row for each transaction (its time, and for each layout that
labels change the number of its state's key); and the keys, each once. Of a transaction itself Redis keeps its id, the
block and the row (`history.known_ids`).
"""

import itertools
import math
import struct
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from history.layout import DIGEST_BYTES, ENTITY_BYTES, Rows
from history.plan import Plan

BLOCK_FORMAT = 3
STATE_KEY_BYTES = DIGEST_BYTES + ENTITY_BYTES
BLOCK_HEAD = np.dtype([
    ("format", "u1"), ("plan", f"V{DIGEST_BYTES}"), ("has_values", "u1"), ("places", "u1"),
    ("seconds_bytes", "u1"), ("code_bytes", "u1"), ("rows", "<u4"), ("base", "<f8"),
])  # fmt: skip
"""The plan of the values and whether there are any; how many states each transaction names; how the rows are written.
The scripts know these offsets. A time of 4 bytes is counted from `base`, one of 8 is itself."""
PACKED_HEAD = struct.Struct(f"<B{DIGEST_BYTES}sBBBBId")
"""A BLOCK_HEAD; struct writes one in a tenth of the time."""
MAX_DELTA = 2**32
KEY_ENTITY = DIGEST_BYTES
"""Where the entity begins in the key of a state."""
NO_CHECKSUM = 0xFFFF
"""Of a transaction of which nothing is stored any more."""

States = Sequence[tuple[Rows, NDArray[np.void]]]
"""For each layout that labels change, in the order of `fraud_layouts`: the number of each row's state, -1 where it has
none; and the keys of the states, by number."""


def encode_block(plan: Plan, seconds: NDArray[np.float64], states: States, *, has_values: bool) -> bytes:
    """The block of transactions of these times, shape (rows,)."""
    earliest = float(np.fmin.reduce(seconds, initial=np.nan))  # NaN where there is no time at all.
    base = float(math.floor(earliest)) if math.isfinite(earliest) else 0.0
    deltas = seconds - base
    is_whole = bool(((deltas >= 0) & (deltas < MAX_DELTA) & (deltas == np.floor(deltas))).all())
    firsts = list(itertools.accumulate((len(keys) for _, keys in states), initial=1))
    seconds_bytes, code_bytes = 4 if is_whole else 8, np.min_scalar_type(firsts[-1]).itemsize
    head = (BLOCK_FORMAT, plan.digest, has_values, len(states), seconds_bytes, code_bytes, len(seconds), base)
    rows = np.empty(len(seconds), _row_dtype(seconds_bytes, code_bytes, len(states)))
    rows["seconds"] = deltas if is_whole else seconds
    for place, (codes, _) in enumerate(states):
        rows[str(place)] = np.where(codes < 0, 0, codes + firsts[place])
    no_key = bytes(STATE_KEY_BYTES)
    return b"".join([PACKED_HEAD.pack(*head), rows.tobytes(), no_key, *(keys.tobytes() for _, keys in states)])


def row_dtype(head: np.void) -> np.dtype[np.void]:
    """One row of a block with this head."""
    return _row_dtype(int(head["seconds_bytes"]), int(head["code_bytes"]), int(head["places"]))


@cache
def _row_dtype(seconds_bytes: int, code_bytes: int, places: int) -> np.dtype[np.void]:
    fields = [("seconds", "<u4" if seconds_bytes == 4 else "<f8")]  # noqa: PLR2004 - of the format
    return np.dtype(fields + [(str(place), f"<u{code_bytes}") for place in range(places)])


def keys_offset(block: bytes) -> int | None:
    """Where the keys of a block begin; None of what is no whole block."""
    if len(block) < BLOCK_HEAD.itemsize or block[0] != BLOCK_FORMAT:
        return None
    head = np.frombuffer(block, BLOCK_HEAD, 1)[0]
    if head["seconds_bytes"] not in (4, 8) or head["code_bytes"] not in (1, 2, 4):
        return None
    offset = BLOCK_HEAD.itemsize + int(head["rows"]) * row_dtype(head).itemsize
    return offset if offset <= len(block) and (len(block) - offset) % STATE_KEY_BYTES == 0 else None


def checksums(seconds: NDArray[np.float64], states: States) -> NDArray[np.uint16]:
    """Two bytes by which ENTER tells known transactions from others with their ids, as it makes them of a block.

    Of times of shape (rows,), without fractions of a second, and of the keys of the states; never NO_CHECKSUM.
    """
    sums = (np.where(np.isnan(seconds), 0.0, np.floor(seconds)) % (NO_CHECKSUM + 1)).astype(np.uint16)
    for codes, keys in states:
        first = np.frombuffer(keys.tobytes(), "<u2")[KEY_ENTITY // 2 :: STATE_KEY_BYTES // 2]
        named = codes >= 0
        sums[named] ^= first[codes[named]]
    sums[sums == NO_CHECKSUM] = 0
    return sums

"""What Redis keeps of the transactions of one request beside their ids: times, and the states that labels change.

A block is one string, `fraud:b:<block>`: a BLOCK_HEAD; a row for each transaction (its time, and for each layout that
labels change the number of its state's key); and the keys, each once. Of a transaction itself Redis keeps its id, the
block and the row (`history.known_ids`).
"""

from collections.abc import Sequence

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
MAX_DELTA = 2**32

States = Sequence[tuple[Rows, NDArray[np.void]]]
"""For each layout that labels change, in the order of `fraud_layouts`: the number of each row's state, -1 where it has
none; and the keys of the states, by number."""


def encode_block(plan: Plan, seconds: NDArray[np.float64], states: States, *, has_values: bool) -> bytes:
    """The block of transactions of these times, shape (rows,)."""
    base = float(np.floor(np.nanmin(seconds))) if np.isfinite(seconds).any() else 0.0
    deltas = seconds - base
    whole = bool(((deltas >= 0) & (deltas < MAX_DELTA) & (deltas == np.floor(deltas))).all())
    keys = [np.zeros(1, f"V{STATE_KEY_BYTES}"), *(each for _, each in states)]
    firsts = np.cumsum([len(each) for each in keys])
    code = np.min_scalar_type(int(firsts[-1]))
    head = np.zeros(1, BLOCK_HEAD)
    head["format"], head["plan"], head["has_values"] = BLOCK_FORMAT, np.void(plan.digest), has_values
    head["places"], head["rows"], head["base"] = len(states), len(seconds), base
    head["seconds_bytes"], head["code_bytes"] = 4 if whole else 8, code.itemsize
    rows = np.empty(len(seconds), row_dtype(head[0]))
    rows["seconds"] = deltas if whole else seconds
    for place, (codes, _) in enumerate(states):
        rows[str(place)] = np.where(codes < 0, 0, codes + firsts[place])
    return b"".join([head.tobytes(), rows.tobytes(), *(each.tobytes() for each in keys)])


def row_dtype(head: np.void) -> np.dtype[np.void]:
    """One row of a block with this head."""
    fields = [("seconds", "<u4" if head["seconds_bytes"] == 4 else "<f8")]  # noqa: PLR2004 - of the format
    fields += [(str(place), f"<u{head['code_bytes']}") for place in range(head["places"])]
    return np.dtype(fields)


def keys_offset(block: bytes) -> int | None:
    """Where the keys of a block begin; None of what is no whole block."""
    if len(block) < BLOCK_HEAD.itemsize or block[0] != BLOCK_FORMAT:
        return None
    head = np.frombuffer(block, BLOCK_HEAD, 1)[0]
    if head["seconds_bytes"] not in (4, 8) or head["code_bytes"] not in (1, 2, 4):
        return None
    offset = BLOCK_HEAD.itemsize + int(head["rows"]) * row_dtype(head).itemsize
    return offset if offset <= len(block) and (len(block) - offset) % STATE_KEY_BYTES == 0 else None

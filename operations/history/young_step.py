"""Young transactions, which enter by their ids as live ones do: known afterwards, and found by their labels."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from history.evaluation import CODE_BITS
from history.keyed_hash import ID_BYTES, HistoryKey
from history.layout import DIGEST_BYTES
from history.plan import Plan
from history.redis_schema import UNLABELLED, fraud_layouts, transaction_records
from history.session import Reply
from operations.history.part import Part
from operations.history.past import PastTransactions, Rows
from operations.history.step import Arguments

BLOCK_ROWS = 2_000
"""Transactions that enter at once, at most: about 10 ms of Redis' time."""
MOST_CLAIMS = 3_500
"""Of one call: its script hands them to a command as arguments, of which it may have 8,000 with their values."""
SLICES = 10
"""Of the time from the horizon on: those of a block are known as long as its newest one, so some a tenth longer."""
EVERYWHERE = -1

Missing = Callable[[bytes], frozenset[int] | None]
"""The places of the layouts that a plan, given by its digest, has not; None where nobody knows the plan."""


@dataclass(frozen=True, slots=True, eq=False)
class Entering:
    """What all young steps share.

    Attributes:
        parts: one for each layout of the plan, in its order.
        horizon: the time from which on transactions are young; a step's are known for as long as the newest is younger.
        expire: seconds after which states expire that nobody reads or writes.
        key: what the digests are keyed with when they are sent.
    """

    plan: Plan
    past: PastTransactions
    parts: Sequence[Part]
    horizon: float
    expire: int
    missing: Missing
    key: HistoryKey

    def records(self, rows: Rows) -> NDArray[np.void]:
        """The records that transactions are known by: without values, and without an answer."""
        records = transaction_records(self.plan, self.past.seconds[rows])
        records["label"] = self.past.labels[rows]
        records["confirmed"] = np.where(records["label"] == UNLABELLED, 0.0, self.past.confirmed[rows])
        for place, part in enumerate(self.parts[each] for each in fraud_layouts(self.plan)):
            usable = part.usable[rows]
            records[str(place)][usable] = part.keys[part.codes[rows[usable]]]
        return records


@dataclass(frozen=True, slots=True, eq=False)
class _Claims:
    """That transactions count: everywhere, by their ids; or in one state, by a digest of id and layout. None is keyed.

    Attributes:
        at: which transaction, by its place in the step; shape (claims,) like the others.
        part: the place of the layout, or EVERYWHERE.
    """

    at: Rows
    part: NDArray[np.int64]
    digests: NDArray[np.void]

    def without(self, places: Rows) -> "_Claims":
        """All but some."""
        left = np.ones(len(self.at), dtype=np.bool_)
        left[places] = False
        return _Claims(self.at[left], self.part[left], self.digests[left])

    def also(self, more: Sequence[tuple[int, int, bytes]]) -> "_Claims":
        """These, and more of them."""
        if not more:
            return self
        at, part, digests = zip(*more, strict=True)
        return _Claims(
            np.append(self.at, at),
            np.append(self.part, part),
            np.concatenate([self.digests, np.frombuffer(b"".join(digests), self.digests.dtype)]),
        )


class YoungStep:
    """Some transactions."""

    def __init__(self, entering: Entering, rows: Rows) -> None:
        """Takes their positions."""
        self._entering = entering
        self._rows = rows
        self._records = entering.records(rows)
        self._counts = np.ones((len(entering.parts), len(rows)), dtype=np.bool_)
        named = np.flatnonzero(entering.past.named[rows])
        self._claims = _Claims(named, np.full(len(named), EVERYWHERE), entering.past.ids[rows[named]])
        self._entry = self._worked_out()
        self.known, self.doubted = 0, 0

    def looks(self) -> None:
        """Nothing: the script itself finds who is known."""

    def take_looks(self, reply: Reply) -> None:
        """Never called."""

    def entry(self) -> Arguments:
        """Those that count, and where."""
        return self._entry

    def take(self, reply: Reply) -> bool:
        """Where some are known already, none entered: they count only where they do not yet."""
        places = np.frombuffer(reply[0], "<u4").astype(np.int64)
        if not len(places):
            return True
        claims, plans = self._claims, np.frombuffer(reply[1], f"V{DIGEST_BYTES}")
        more = [claim for place, plan in zip(places.tolist(), plans, strict=True) for claim in self._met(place, plan)]
        self._claims = claims.without(places).also(more)
        self._entry = self._worked_out()
        return False

    def _met(self, place: int, plan: np.void) -> list[tuple[int, int, bytes]]:
        """The claims that are left of one that was there already."""
        at, part = int(self._claims.at[place]), int(self._claims.part[place])
        if part != EVERYWHERE:
            self._counts[part, at] = False
            return []
        missing = self._entering.missing(plan.tobytes())
        self.known += 1
        self.doubted += missing is None
        found = sorted(missing or ())
        self._counts[:, at] = False
        self._counts[found, at] = True
        return [(at, part, self._digest(place, part)) for part in found]

    def _digest(self, place: int, part: int) -> bytes:
        text = self._claims.digests[place].tobytes() + self._entering.parts[part].layout.digest
        return hashlib.blake2b(text, digest_size=ID_BYTES, person=b"layout").digest()

    def _worked_out(self) -> Arguments:
        shared = self._entering
        writes = [self._written(place) for place in range(len(shared.parts))]
        kept = math.ceil(float(shared.past.seconds[self._rows].max()) - shared.horizon) + 1
        ids = shared.key.keyed_all(self._claims.digests)
        return (
            "enter", ids.tobytes(), self._records[self._claims.at].tobytes(), kept, "",
            b"".join(keys for keys, _, _ in writes), b"".join(sizes for _, sizes, _ in writes),
            b"".join(data for _, _, data in writes), shared.expire,
        )  # fmt: skip

    def _written(self, place: int) -> tuple[bytes, bytes, bytes]:
        """What is written to the states of one part: their keys, how many bytes each, and the bytes."""
        part = self._entering.parts[place]
        keys, records = part.merged(self._rows[self._counts[place]])
        codes, counts = np.unique(keys >> CODE_BITS, return_counts=True)
        sizes = (counts * part.layout.dtype.itemsize).astype("<u4")
        return part.keys[codes].tobytes(), sizes.tobytes(), records.tobytes()


def blocks(past: PastTransactions, horizon: float, parts: Sequence[Part]) -> list[Rows]:
    """The young transactions as they enter: in order of time by slices.

    In each slice those of an entity stand together, of the part with the fewest: that halves the writes.
    """
    size = max(1, min(BLOCK_ROWS, MOST_CLAIMS // len(parts)))  # One that is known may be claimed in each part.
    young = np.flatnonzero(past.seconds >= horizon)
    length = max((past.newest - horizon) / SLICES, 1.0)
    slices = ((past.seconds[young] - horizon) // length).astype(np.int64)
    fewest = min(parts, key=lambda part: len(part.keys)).codes[young]
    ordered = young[np.lexsort((fewest, slices))]
    ends = np.flatnonzero(np.diff(np.sort(slices))) + 1
    return [piece[at : at + size] for piece in np.split(ordered, ends) for at in range(0, len(piece), size)]

"""Old transactions, whose ids are forgotten: they count by entity, merged into a few writes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from history.evaluation import CODE_BITS
from history.layout import Records
from history.redis_schema import parse_states
from history.session import Reply
from operations.history.part import Part
from operations.history.past import Rows
from operations.history.step import Arguments

BLOCK_STATES, BLOCK_RECORDS = 2_000, 20_000
"""States, and records, that are written at once: about 10 ms of Redis' time."""


@dataclass(frozen=True, slots=True, eq=False)
class Old:
    """What the old transactions add to the states of one part.

    Attributes:
        offsets: where the records of each entity begin, and the end of all; shape (entities + 1,).
        horizon: the first bucket that may hold others than old transactions.
    """

    part: Part
    records: Records
    offsets: Rows
    horizon: int

    @classmethod
    def of(cls, part: Part, rows: Rows, horizon: float) -> "Old":
        """Of these rows, all older than the horizon."""
        keys, records = part.merged(rows)
        offsets = np.searchsorted(keys >> CODE_BITS, np.arange(len(part.keys) + 1))
        return cls(part, records, offsets, int(np.floor(horizon / part.layout.bucket)))

    def cuts(self) -> Iterator[range]:
        """The entities of each step, by their codes: all of them, for their states are read and live on."""
        begin = 0
        while begin < len(self.part.keys):
            full = int(np.searchsorted(self.offsets, self.offsets[begin] + BLOCK_RECORDS, side="right")) - 1
            end = max(begin + 1, min(full, begin + BLOCK_STATES, len(self.part.keys)))
            yield range(begin, end)
            begin = end


class OldStep:
    """The states of some entities."""

    doubted = 0

    def __init__(self, old: Old, codes: range, expire: int) -> None:
        """Takes the seconds after which states expire that nobody reads or writes."""
        self._old = old
        self._codes = codes
        self._expire = expire
        self._free = np.ones(len(codes), dtype=np.bool_)

    def looks(self) -> Arguments:
        """Reads the states, which renews them too."""
        return ("look", "", "", 0, self._keys().tobytes(), "", "", "", self._expire)

    def take_looks(self, reply: Reply) -> None:
        """A state that holds something as old has these transactions in it."""
        held = parse_states(self._old.part.layout, np.frombuffer(reply[4], "<u4").astype(np.int64), reply[5])
        as_old = (held.records["count"] > 0) & (held.records["bucket"] < self._old.horizon)
        self._free[:] = True
        self._free[held.codes[as_old]] = False

    def entry(self) -> Arguments:
        """Adds to the others."""
        counts = self._counts()
        written = self._free & (counts > 0)
        records = self._records()[np.repeat(self._free, counts)]
        sizes = (counts[written] * self._old.part.layout.dtype.itemsize).astype("<u4")
        keys = self._keys()[written]
        return ("enter", "", "", 0, "", keys.tobytes(), sizes.tobytes(), records.tobytes(), self._expire)

    def take(self, reply: Reply) -> bool:
        """Always done."""
        del reply
        return True

    @property
    def known(self) -> int:
        """The transactions that were left out."""
        held = self._records()[np.repeat(~self._free, self._counts())]
        return int(held["count"].sum())

    def _keys(self) -> NDArray[np.void]:
        return self._old.part.keys[self._codes.start : self._codes.stop]

    def _records(self) -> Records:
        offsets = self._old.offsets
        return self._old.records[offsets[self._codes.start] : offsets[self._codes.stop]]

    def _counts(self) -> NDArray[np.int64]:
        return np.diff(self._old.offsets[self._codes.start : self._codes.stop + 1])

"""The rows of a batch whose ids Redis knows, and the values that the first request with each id got. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from history.layout import Rows
from history.plan import Plan
from history.redis_schema import AWAITED_VALUES, NO_VALUES, VALUES
from history.stored_values import decode_chunk
from history.transaction_blocks import NO_CHECKSUM

READ_CHUNKS = 32
"""Chunks of values that one MGET reads: half a megabyte to two."""
UNKNOWN, FOUND, ABSENT, AWAITED, REUSED = range(5)
"""Of a row: it is not known; or its values are there, are not, or are about to be written; or another transaction has
its id."""


class KnownRows:
    """Which rows are known, and their values as far as these have been read.

    Attributes:
        status: of each row of the table, one of UNKNOWN, FOUND, ABSENT, AWAITED, REUSED; shape (rows,).
        of_other_plan: whether the values of a row are of another plan than this one; shape (rows,).
    """

    def __init__(self, plan: Plan, rows: int) -> None:
        """Knows no row yet."""
        self.status = np.zeros(rows, dtype=np.uint8)
        self.of_other_plan = np.zeros(rows, dtype=np.bool_)
        self._plan = plan
        self._values: NDArray[np.float64] | None = None
        self._unread: dict[bytes, list[tuple[Rows, Rows]]] = {}

    @property
    def count(self) -> int:
        """How many rows are known."""
        return int(np.count_nonzero(self.status))

    @property
    def without_values(self) -> Rows:
        """The known rows that have no values: these are not there, or not yet, or another transaction's."""
        return np.flatnonzero(self.status > FOUND)

    @property
    def counted_without_values(self) -> Rows:
        """Those of them that Redis has counted."""
        return np.flatnonzero((self.status > FOUND) & (self.status < REUSED))

    @property
    def reused(self) -> Rows:
        """The rows whose id another transaction has."""
        return np.flatnonzero(self.status == REUSED)

    @property
    def awaiting(self) -> Rows:
        """The known rows whose values are about to be written."""
        return np.flatnonzero(self.status == AWAITED)

    def receive(self, rows: Rows, reply: Sequence[bytes], own_checksums: NDArray[np.uint16]) -> None:
        """Takes the part of ENTER's reply that is of these rows: chunks of values, or the keys under which they are.

        `own_checksums` are those of the rows' own transactions (`history.transaction_blocks`).
        """
        plans, places = np.frombuffer(reply[1], "V8"), np.frombuffer(reply[2], "<u4").astype(np.int64)
        is_ours = plans == np.void(self._plan.digest)
        self.of_other_plan[rows] = ~is_ours
        self.status[rows] = np.where(is_ours & (places != NO_VALUES), AWAITED, ABSENT)
        stored = np.frombuffer(reply[8], "<u2")
        is_other = is_ours & (stored != NO_CHECKSUM) & (stored != own_checksums)
        self.status[rows[is_other]] = REUSED
        usable = np.flatnonzero(is_ours & ~is_other & (places < AWAITED_VALUES))
        for number, own in _groups(np.frombuffer(reply[3], "<u4")[usable]):
            chunk, where = reply[9 + number], (rows[usable[own]], places[usable[own]])
            if chunk.startswith(VALUES):
                self._unread.setdefault(chunk, []).append(where)
            else:
                self._fill(*where, chunk)

    def chunk_reads(self) -> list[list[bytes]]:
        """The arguments of each MGET that reads the chunks of which only the keys have been received."""
        keys = list(self._unread)
        return [keys[at : at + READ_CHUNKS] for at in range(0, len(keys), READ_CHUNKS)]

    def receive_chunks(self, replies: Iterable[Sequence[bytes | None]]) -> Rows:
        """Takes the reply to each read; the rows whose chunk is not there, of which ENTER knows why."""
        unread, self._unread = self._unread, {}
        gone: list[Rows] = []
        chunks = (chunk for reply in replies for chunk in reply)
        for places, chunk in zip(unread.values(), chunks, strict=True):
            where = tuple(np.concatenate(each) for each in zip(*places, strict=True))
            if chunk is None:
                gone.append(where[0])
            else:
                self._fill(where[0], where[1], chunk)
        return np.sort(np.concatenate(gone)) if gone else np.empty(0, dtype=np.int64)

    def replaced(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The values of all rows, with those that were stored where there are any; shape (features, rows)."""
        matrix = np.array([values[name] for name in self._plan.names])
        found = np.flatnonzero(self.status == FOUND)
        if self._values is not None:
            matrix[:, found] = self._values[found].T
        return matrix

    def _fill(self, rows: Rows, places: Rows, chunk: bytes) -> None:
        """Takes the values of rows from their places in a chunk; an empty chunk says that there are none."""
        if not chunk:
            self.status[rows] = ABSENT
            return
        matrix = decode_chunk(chunk, len(self._plan.windows))
        if matrix is None:
            return
        if self._values is None:
            self._values = np.empty((len(self.status), len(self._plan.windows)))
        is_there = places < len(matrix)
        self._values[rows[is_there]] = matrix[places[is_there]]
        self.status[rows[is_there]] = FOUND


def _groups(numbers: NDArray[np.uint32]) -> Iterator[tuple[int, Rows]]:
    """Each distinct number, and where it stands."""
    order = numbers.argsort(kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if len(own):
            yield int(numbers[own[0]]), own

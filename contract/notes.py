"""What is odd about transactions that can all be read: codes, columns and counts, and never a value.

A note changes no score. It tells a caller that what was sent is perhaps not what was meant: a category that the model
does not know, ids that a spreadsheet has rounded, amounts in another unit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.features import UNKNOWN
from contract.schema import Contract, FeatureKind, Kind
from contract.table import Table
from contract.windows import DAY

MIN_CONSTANT_ROWS = 50
"""Rows from which on a column of one value is odd."""
MIN_SCALE_ROWS = 20
"""Numbers from which on one can speak of most of them."""
SCALE_FACTOR = 2.0
"""By which most numbers are beyond the range of training: cents for whole units, or a currency of other notes, are far
beyond; those of one shop or region mostly are not."""
SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?[eE]\+\d+", re.ASCII)
"""1.23457E+15: what a spreadsheet makes of a long number. Its last digits are lost, so that several become one."""
FIRST_REPEAT = -1
NO_ROWS = np.empty(0, dtype=np.int64)
Mask = NDArray[np.bool_]


class NoteCode(StrEnum):
    """The machine-readable name of a note."""

    UNKNOWN_CATEGORY = "unknown_category"
    REPEATED_ID = "repeated_id"
    SCIENTIFIC_ID = "scientific_id"
    ID_REUSED = "id_reused"
    NEW_ENTITIES = "new_entities"
    FUTURE_TIME = "future_time"
    CONSTANT_COLUMN = "constant_column"
    AMOUNT_SCALE = "amount_scale"


@dataclass(frozen=True, slots=True)
class Note:
    """One odd thing.

    Attributes:
        count: of the rows that it is about.
        share: of the rows that were read, 0 to 1.
    """

    code: NoteCode
    column: str
    count: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class _RowMarks:
    """Which rows one note is about; `before` is the row that makes each odd, where it takes two to be it."""

    code: NoteCode
    column: str
    rows: NDArray[np.int64]
    before: NDArray[np.int64]

    def note(self, rows: int) -> Note:
        """The note, of so many rows in all."""
        return Note(self.code, self.column, len(self.rows), round(len(self.rows) / rows, 4))

    def part(self, begin: int, end: int) -> "_RowMarks":
        """Of the rows from position `begin` to before `end`, numbered anew; pairs that reach out of them are none."""
        own = (self.rows >= begin) & (self.rows < end)
        if len(self.before):
            own &= self.before >= begin
        before = self.before[own] - begin if len(self.before) else self.before
        return replace(self, rows=self.rows[own] - begin, before=before)


@dataclass(frozen=True, slots=True, eq=False)
class RowNotes:
    """The notes of rows, of which a part can be taken.

    Attributes:
        rows: how many were read.
        marks: of the notes about single rows.
        whole: the notes about all rows as a whole.
    """

    rows: int
    marks: Sequence[_RowMarks] = ()
    whole: Sequence[Note] = ()

    @property
    def notes(self) -> list[Note]:
        """In the order of their codes."""
        return [*(each.note(self.rows) for each in self.marks), *self.whole] if self.marks or self.whole else []

    def part(self, begin: int, end: int) -> "RowNotes":
        """The notes of a few of the rows, by themselves: those about all rows are not about these."""
        if not self.marks:
            return NO_NOTES
        parts = (each.part(begin, end) for each in self.marks)
        return RowNotes(end - begin, [each for each in parts if len(each.rows)])


NO_NOTES = RowNotes(0)


class NoteFinder:
    """Finds what is odd about rows that a contract has read."""

    def __init__(self, contract: Contract, ranges: Mapping[str, Sequence[float]]) -> None:
        """Takes the contract, and of its numbers what nearly all of training's lay between (`training.ranges`)."""
        categories = {column.name for column in contract.columns if column.kind is Kind.CATEGORY and column.values}
        self._categories = {
            feature.column: place
            for place, feature in enumerate(contract.features)
            if feature.kind is FeatureKind.CATEGORY and feature.column in categories
        }
        self._places = np.array(list(self._categories.values()), dtype=np.int64)
        self._names = [column.name for column in contract.inputs if column.kind in {Kind.ID, Kind.ENTITY}]
        self._inputs = [column.name for column in contract.inputs]
        identity, time = contract.first(Kind.ID), contract.time
        self._id = identity.name if identity else ""
        self._time = time.name if time and time.time_format.is_dated else ""
        self._ranges = {name: _widened(low, high) for name, (low, high) in ranges.items() if low < high}
        varied = {column.name for column in contract.columns if len(column.values) > 1}
        self._varied = [name for name in self._inputs if name in varied | set(self._ranges) | {self._time}]

    def find(self, table: Table, matrix: NDArray[np.float32], now: float) -> RowNotes:
        """The notes of all rows, given the matrix that is made of them and the time, in seconds since 1970."""
        if not table.rows:
            return NO_NOTES
        marks = [
            *self._unknown(matrix),
            *(self._repeated(table) if table.rows > 1 else ()),
            *self._scientific(table),
            *self._future(table, now),
        ]
        return RowNotes(table.rows, marks, [*self._constant(table), *self._other_scale(table)])

    def _unknown(self, matrix: NDArray[np.float32]) -> Iterator[_RowMarks]:
        if np.count_nonzero(matrix.take(self._places, 1)) == matrix.shape[0] * len(self._places):  # UNKNOWN is 0.
            return
        for name, place in self._categories.items():
            yield from _marks(NoteCode.UNKNOWN_CATEGORY, name, matrix[:, place] == UNKNOWN)

    def _repeated(self, table: Table) -> Iterator[_RowMarks]:
        """Rows that differ from the last one before them with the same id."""
        ids = table.columns[self._id].tolist() if self._id else []
        if len(set(ids)) == len(ids):
            return
        last = dict[str, int]()
        before = np.array([_replaced(last, text, row) for row, text in enumerate(ids)], dtype=np.int64)
        rows = np.flatnonzero(before != FIRST_REPEAT)
        differs = np.zeros(len(rows), dtype=np.bool_)
        for name in self._inputs:
            differs |= _differ(table.columns[name][rows], table.columns[name][before[rows]])
        if differs.any():
            yield _RowMarks(NoteCode.REPEATED_ID, self._id, rows[differs], before[rows[differs]])

    def _scientific(self, table: Table) -> Iterator[_RowMarks]:
        for name in self._names:
            encoded = table.encoded.get(name)
            texts = (encoded.values if encoded else table.columns[name]).tolist()
            joined = "\n".join(texts)
            if "E+" in joined or "e+" in joined:
                mask = np.array([SCIENTIFIC.fullmatch(text) is not None for text in texts])
                yield from _marks(NoteCode.SCIENTIFIC_ID, name, mask[encoded.indices] if encoded else mask)

    def _future(self, table: Table, now: float) -> Iterator[_RowMarks]:
        if self._time:
            yield from _marks(NoteCode.FUTURE_TIME, self._time, table.columns[self._time] > now + DAY)

    def _constant(self, table: Table) -> Iterator[Note]:
        if table.rows < MIN_CONSTANT_ROWS:
            return
        for name in self._varied:
            values = table.columns[name]
            if not any(_differ(part, values[:1]).any() for part in (values[:MIN_CONSTANT_ROWS], values)):
                yield Note(NoteCode.CONSTANT_COLUMN, name, table.rows, 1.0)

    def _other_scale(self, table: Table) -> Iterator[Note]:
        if table.rows < MIN_SCALE_ROWS:
            return
        for name, (least, most) in self._ranges.items():
            values = table.columns[name]
            count = int(max(np.count_nonzero(values > most), np.count_nonzero(values < least)))
            if count and 2 * count > np.count_nonzero(~np.isnan(values)) >= MIN_SCALE_ROWS:
                yield Note(NoteCode.AMOUNT_SCALE, name, count, round(count / table.rows, 4))


def with_history(
    noted: RowNotes, new_entities: Mapping[str, int], id_column: str, reused: NDArray[np.int64]
) -> RowNotes:
    """The notes with what the history knows.

    Args:
        noted: what the rows themselves tell.
        new_entities: columns whose entities are all new, and how many rows have one.
        id_column: of the ids.
        reused: the rows whose id another transaction had before.
    """
    rows = noted.rows
    new = [Note(NoteCode.NEW_ENTITIES, name, count, round(count / rows, 4)) for name, count in new_entities.items()]
    marks = [_RowMarks(NoteCode.ID_REUSED, id_column, reused, NO_ROWS)] if len(reused) else []
    return replace(noted, marks=[*noted.marks, *marks], whole=[*noted.whole, *new])


def _marks(code: NoteCode, column: str, mask: Mask) -> Iterator[_RowMarks]:
    if np.count_nonzero(mask):
        yield _RowMarks(code, column, np.flatnonzero(mask), NO_ROWS)


def _replaced(last: dict[str, int], text: str, row: int) -> int:
    """The last row with this id, which `row` is from now on; FIRST_REPEAT where there was none, or it is no id."""
    before = last.get(text, FIRST_REPEAT) if text else FIRST_REPEAT
    last[text] = row
    return before


def _differ(values: NDArray[Any], others: NDArray[Any]) -> Mask:
    """Where values of one column differ; a missing one equals a missing one."""
    differ: Mask = values != others
    if values.dtype.kind == "f":
        differ &= ~(np.isnan(values) & np.isnan(others))
    return differ


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with SCALE_FACTOR more on either side."""
    least = low * SCALE_FACTOR if low < 0 else low / SCALE_FACTOR
    return least, high * SCALE_FACTOR if high > 0 else high / SCALE_FACTOR

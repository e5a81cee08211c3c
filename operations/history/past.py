"""Past transactions as history needs them: a few bytes each, however many texts the file holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.schema import CONFIRMED_COLUMN, Column, Contract, Feature, FeatureKind, Kind, Missing
from contract.table import Table
from history.keyed_hash import UNKEYED
from history.plan import Plan
from history.redis_schema import FRAUD, GENUINE, UNLABELLED

Rows = NDArray[np.int64]
ProgressCallback = Callable[[int, int], None]
"""Hears how much of how much is done."""
NO_LABEL = 255
"""Of a cell that holds none, and is not empty."""


@dataclass(frozen=True, slots=True, eq=False)
class PastTransactions:
    """Transactions that have a time, in the order of their file; arrays have the shape (rows,).

    Attributes:
        ids: digests of their ids, which are keyed on their way to Redis.
        named: which have an id.
        seconds: their times.
        labels: UNLABELLED, GENUINE or FRAUD.
        confirmed: when the label was known, in seconds as the times; NaN where the file does not say.
        numbers: number columns by name.
        codes: of the columns of text, the number of each row's text, from 0.
        texts: the distinct texts of each such column by their number, shape (texts,).
    """

    ids: NDArray[np.void]
    named: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    labels: NDArray[np.uint8]
    confirmed: NDArray[np.float64]
    numbers: Mapping[str, NDArray[np.float64]]
    codes: Mapping[str, Rows]
    texts: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.seconds)

    @property
    def met(self) -> NDArray[np.float64]:
        """When each is met by a window at the latest: a fraud, when it was known."""
        return _met(self.seconds, self.labels, self.confirmed)

    @property
    def newest(self) -> float:
        """The time of the last one."""
        return float(self.seconds.max())

    def take(self, chosen: NDArray[Any]) -> "PastTransactions":
        """Those at these positions, or under this mask."""
        return replace(
            self,
            ids=self.ids[chosen],
            named=self.named[chosen],
            seconds=self.seconds[chosen],
            labels=self.labels[chosen],
            confirmed=self.confirmed[chosen],
            numbers={name: values[chosen] for name, values in self.numbers.items()},
            codes={name: codes[chosen] for name, codes in self.codes.items()},
        )

    def columns(self, names: Iterable[str], rows: Rows) -> dict[str, NDArray[Any]]:
        """Some columns of some of the rows, as a table has them."""
        return {
            name: self.numbers[name][rows] if name in self.numbers else self.texts[name][self.codes[name][rows]]
            for name in names
        }


@dataclass(frozen=True, slots=True, eq=False)
class ParsedFile:
    """What a file holds.

    Attributes:
        past: the transactions that a window can still see; None where there is none.
        sha256: of the file.
        rows: all of them.
        skipped: those at fault.
        older: those that no window can see any more.
        untimed: those without a time, which belong to no history.
        repeated: those whose id stood in the file before.
    """

    past: PastTransactions | None
    sha256: str
    rows: int
    skipped: int
    older: int
    untimed: int
    repeated: int


def read_by(contract: Contract, plan: Plan, header: frozenset[str]) -> Contract:
    """The contract by which a file with this header is read: with what history needs, id and label alone.

    The label may be left out, and be empty: not every transaction of the past has been confirmed. When it was known
    may stand beside it, as in a file to train on.
    """
    needed = {plan.time, *(name for window in plan.windows for name in (window.entity, window.column) if name)}
    columns = []
    for column in contract.columns:
        if column.kind is Kind.LABEL and column.name in header:
            columns.append(replace(column, missing=Missing.ALLOW))
        elif column.kind is Kind.ID or column.name in needed:
            columns.append(column)
    if CONFIRMED_COLUMN in header and CONFIRMED_COLUMN not in contract.names and contract.time:
        form = contract.time.time_format
        columns.append(Column(CONFIRMED_COLUMN, Kind.TIMESTAMP, Missing.ALLOW, time_format=form))
    # A contract has a feature, which nobody computes here.
    return Contract(contract.name, tuple(columns), (Feature("time", FeatureKind.HOUR_SIN, plan.time),))


class PastTransactionsBuilder:
    """Past transactions of which block after block is read."""

    def __init__(self, contract: Contract, plan: Plan) -> None:
        """Takes the contract that the blocks are read by."""
        self._plan = plan
        self._id, self._label = contract.first(Kind.ID), contract.first(Kind.LABEL)
        used = {name for layout in plan.layouts for name in layout.names} - {plan.time}
        kinds = {column.name: column.kind for column in contract.columns if column.name in used}
        self._numeric = [name for name, kind in kinds.items() if kind is Kind.NUMBER]
        self._numbers: dict[str, dict[str, int]] = {name: {} for name, kind in kinds.items() if kind is not Kind.NUMBER}
        self._blocks: list[PastTransactions] = []
        self._newest = -np.inf
        self.older = 0
        self.repeated = 0
        self.untimed = 0

    def add(self, table: Table, labels: NDArray[np.uint8]) -> None:
        """Takes a block; what no window can see any more is left out as soon as that is known."""
        seconds = table.columns[self._plan.time]
        timed = np.isfinite(seconds)
        self.untimed += int((~timed).sum())
        self._newest = max(self._newest, seconds[timed].max(initial=-np.inf))
        confirmed = table.columns.get(CONFIRMED_COLUMN, np.full(table.rows, np.nan))
        usable = timed & self._seen(_met(seconds, labels, confirmed))
        self.older += int((timed & ~usable).sum())
        if usable.any():
            self._blocks.append(self._compact(table.take(usable), labels[usable]))

    def past(self) -> PastTransactions | None:
        """All of them; None where there is none."""
        if not self._blocks:
            return None
        past = self._joined()
        seen = self._seen(past.met)
        self.older += int((~seen).sum())
        past = past if seen.all() else past.take(seen)
        first = _firsts(past)
        self.repeated += int((~first).sum())
        return past if first.all() else past.take(first)

    def _seen(self, met: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which a window can still see, counted back from the newest."""
        found: NDArray[np.bool_] = met >= self._newest - self._plan.seconds
        return found

    def _compact(self, table: Table, labels: NDArray[np.uint8]) -> PastTransactions:
        columns = table.columns
        ids = columns[self._id.name].tolist() if self._id else [""] * table.rows
        return PastTransactions(
            ids=UNKEYED.transactions.digests(ids),
            named=np.fromiter(map(bool, ids), np.bool_, len(ids)),
            seconds=columns[self._plan.time],
            labels=labels,
            confirmed=columns.get(CONFIRMED_COLUMN, np.full(table.rows, np.nan)),
            numbers={name: columns[name] for name in self._numeric},
            codes={name: _numbered(numbers, columns[name]) for name, numbers in self._numbers.items()},
            texts={},
        )

    def _joined(self) -> PastTransactions:
        blocks, self._blocks = self._blocks, []
        return PastTransactions(
            ids=np.concatenate([block.ids for block in blocks]),
            named=np.concatenate([block.named for block in blocks]),
            seconds=np.concatenate([block.seconds for block in blocks]),
            labels=np.concatenate([block.labels for block in blocks]),
            confirmed=np.concatenate([block.confirmed for block in blocks]),
            numbers={name: np.concatenate([block.numbers[name] for block in blocks]) for name in self._numeric},
            codes={name: np.concatenate([block.codes[name] for block in blocks]) for name in self._numbers},
            texts={name: _objects(numbers) for name, numbers in self._numbers.items()},
        )


def labels_of(
    texts: NDArray[Any] | None, rows: int, frauds: frozenset[str], genuine: frozenset[str]
) -> NDArray[np.uint8]:
    """The labels that cells hold; an empty one is none. Shape (rows,)."""
    if texts is None:
        return np.full(rows, UNLABELLED, dtype=np.uint8)
    meaning = {"": UNLABELLED} | dict.fromkeys(frauds, FRAUD) | dict.fromkeys(genuine, GENUINE)
    return np.fromiter((meaning.get(text.lower(), NO_LABEL) for text in texts.tolist()), np.uint8, rows)


def _met(
    seconds: NDArray[np.float64], labels: NDArray[np.uint8], confirmed: NDArray[np.float64]
) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.where(labels == FRAUD, np.fmax(seconds, confirmed), seconds)
    return found


def _firsts(past: PastTransactions) -> NDArray[np.bool_]:
    """Which are the first with their id, in order of time; those without one always."""
    halves = past.ids.view([("high", ">u8"), ("low", ">u8")])
    order = np.lexsort((past.seconds, halves["low"], halves["high"]))
    again = np.zeros(past.rows, dtype=np.bool_)
    again[order[1:]] = halves[order[1:]] == halves[order[:-1]]
    return ~again | ~past.named


def _numbered(numbers: dict[str, int], texts: NDArray[Any]) -> Rows:
    """The number of each text; new texts get the next ones."""
    return np.fromiter(_each(numbers, texts), np.int64, len(texts))


def _each(numbers: dict[str, int], texts: NDArray[Any]) -> Iterator[int]:
    return (numbers.setdefault(text, len(numbers)) for text in texts.tolist())


def _objects(numbers: dict[str, int]) -> NDArray[Any]:
    texts = np.empty(len(numbers), dtype=object)
    texts[:] = list(numbers)
    return texts

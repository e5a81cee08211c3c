"""The values of history windows: one evaluation, over a whole table in training and over Redis' states in serving.

:func:`evaluate` takes the records that were stored before and the rows that arrive now, sorts both by entity and
bucket, and finds each window as one range of that order: the rows before a row in it are exactly those that the row
sees. In training nothing was stored before, and all rows arrive at once.

A fraud counts in the bucket of its transaction or, where it was confirmed later than the delay of labels, in the one
that lay that delay before the confirmation: the window reaches it when it is known, never earlier.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract
from contract.table import DictionaryEncoded, Table
from contract.windows import Aggregate, Window
from history.layout import (
    CODE_BITS,
    MAX_BUCKET,
    SLOTS,
    Columns,
    RecordLayout,
    Records,
    factorize,
    sort_keys,
    sorted_order,
    taken,
)
from history.plan import Plan
from history.ranges import Ranges, counts, extremes, sums

_Extent = tuple[int, int]
"""A window's oldest and newest bucket, counted back from the row's."""
_Places = slice | list[int]

BLOCK_RECORDS = 8_192
"""Evaluated at a time, of whole entities: what is computed of them stays in the processor's cache."""
FEW_ROWS = 64
"""Up to which all fields and windows are added up at once, in fewer calls; of more, only what a window needs."""
ESTIMATES = -SLOTS * np.log1p(-np.minimum(np.arange(SLOTS + 1), SLOTS - 0.5) / SLOTS)
"""Estimated number of values by slots taken (linear counting): 5 slots are 5.2 values, 32 are 44, all are about 310."""
MIN_VARIANCE_SHARE = 1e-9
"""Of the mean square: a smaller variance counts as 0, for it may be rounding."""
NOTHING_ENCODED: Mapping[str, DictionaryEncoded] = {}
FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class ArrivingRows:
    """The rows of a table that have an entity and a time, in order of time.

    Attributes:
        places: their positions in the table, shape (rows,).
        codes: number of each row's entity, from 0; shape (rows,).
        entities: text of each entity by its number.
        records: one for each row, shape (rows,).
        seconds: time of each row, shape (rows,).
    """

    places: NDArray[np.int64]
    codes: NDArray[np.int64]
    entities: Sequence[str]
    records: Records
    seconds: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StoredRecords:
    """Records that were stored before, and the number of the entity that each belongs to; shape (records,) both."""

    codes: NDArray[np.int64]
    records: Records


def arriving_rows(
    layout: RecordLayout, columns: Columns, encoded: Mapping[str, DictionaryEncoded] = NOTHING_ENCODED
) -> ArrivingRows:
    """The rows of a table, without those that have no entity or no time within the range of MAX_BUCKET."""
    seconds, entities = columns[layout.time], encoded.get(layout.entity)
    buckets = bucket_of(seconds, layout.bucket)
    known = np.abs(buckets) < MAX_BUCKET
    # By distinct values where these are just the entities of the rows: none is missing, and each has one.
    if entities and known.all() and "" not in entities.values and _has_all(entities):
        places = seconds.argsort(kind="stable")
        codes, texts = entities.indices[places].astype(np.int64), entities.values.tolist()
    else:
        order = seconds.argsort(kind="stable")
        places = order[(known & (columns[layout.entity] != ""))[order]]
        codes, texts = factorize(columns[layout.entity][places].tolist())
    used: dict[str, Any] = {name: columns[name][places] for name in layout.sums}
    used |= {name: encoded[name].take(places) if name in encoded else columns[name][places] for name in layout.sets}
    records = layout.records(used, buckets[places], seconds[places])
    return ArrivingRows(places, codes, texts, records, seconds[places])


def _has_all(column: DictionaryEncoded) -> bool:
    """Whether each value is in any row: of a table of which rows were taken some may not."""
    return bool(np.bincount(column.indices, minlength=len(column.values)).all())


def bucket_of(seconds: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """The bucket of each time; MAX_BUCKET of a time that is NaN or out of range."""
    buckets = np.floor(seconds / size)
    usable = np.abs(buckets) < MAX_BUCKET  # False of NaN too
    return np.where(usable, buckets, MAX_BUCKET).astype(np.int64)


def evaluate(
    windows: Sequence[Window], before: StoredRecords, arriving: ArrivingRows, columns: Columns
) -> dict[str, NDArray[np.float64]]:
    """The values of one layout's windows for the rows of the batch, shape (rows,) each, by name.

    `columns` are those of the whole table: a ratio needs its row's own number.
    """
    extents, groups = _window_groups(tuple(windows))
    # With its type given: to find out that both are of the same costs ten times as long.
    records = np.concatenate([before.records, arriving.records], dtype=arriving.records.dtype)
    unsorted = sort_keys(np.concatenate([before.codes, arriving.codes]), records["bucket"])
    order = sorted_order(unsorted)
    keys = unsorted[order]
    matrix = np.empty((len(windows), len(arriving.places)))
    totals_of = _FewTotals if len(arriving.places) <= FEW_ROWS else _BlockTotals
    for begin, end in itertools.pairwise(_block_ends(keys)):
        own_order = order[begin:end]
        rows = np.flatnonzero(own_order >= len(before.codes))
        arrived = own_order[rows] - len(before.codes)
        totals = totals_of(taken(records, own_order), _ranges(keys[begin:end], rows, extents))
        # Window by window: both axes at once take twice as long.
        for all_values, values in zip(matrix, _block_values(groups, totals, arriving, arrived, columns), strict=True):
            all_values[arrived] = values
    return {window.name: values for window, values in zip(windows, matrix, strict=True)}


def _block_ends(keys: NDArray[np.int64]) -> list[int]:
    """The ends of blocks of about BLOCK_RECORDS sorted keys, 0 first; no entity is in two blocks."""
    if len(keys) <= BLOCK_RECORDS:
        return [0, len(keys)]
    codes = keys[BLOCK_RECORDS - 1 : -1 : BLOCK_RECORDS] >> CODE_BITS
    ends = keys.searchsorted((codes + 1) << CODE_BITS)
    return [0, *np.union1d(ends, len(keys)).tolist()]


def _block_values(
    groups: Sequence["_WindowGroup"],
    totals: "_Totals",
    arriving: ArrivingRows,
    rows: NDArray[np.int64],
    columns: Columns,
) -> NDArray[np.float64]:
    """The values of all windows for these of the arriving rows: shape (windows, rows)."""
    matrix = np.empty((sum(len(each.seconds) for each in groups), len(rows)))
    seconds = arriving.seconds[rows]
    with np.errstate(over="ignore"):  # A ratio to next to nothing: it is clipped.
        for each in groups:
            own = columns[each.column][arriving.places[rows]] if each.aggregate is Aggregate.RATIO else None
            matrix[each.places] = _COMPUTE[each.aggregate](_GroupTotals(totals, each, own, seconds))
    # np.clip takes three times as long.
    clipped: NDArray[np.float64] = np.minimum(np.maximum(matrix, -FLOAT32_MAX, out=matrix), FLOAT32_MAX, out=matrix)
    return clipped


def with_history(
    contract: Contract,
    table: Table,
    frauds: NDArray[np.bool_] | None,
    confirmed: NDArray[np.float64] | None = None,
) -> Table:
    """The table with a column for each history feature: float64, by the window's name.

    Args:
        contract: with the history features; without any the table comes back as it is.
        table: all transactions; they arrive in order of time.
        frauds: which of them were confirmed frauds, shape (rows,); None counts no fraud.
        confirmed: when, in seconds as the time column; where it is NaN or not given, within the delay of labels.
    """
    plan = Plan.of([contract])
    if plan is None:
        return table
    history = plan.default_values(table.columns, table.rows)
    for layout, windows in plan.parts:
        arriving = arriving_rows(layout, table.columns, table.encoded)
        before = _fraud_records(layout, arriving, frauds, confirmed)
        for name, values in evaluate(windows, before, arriving, table.columns).items():
            history[name][arriving.places] = values
    return table.extended(history)


def _fraud_records(
    layout: RecordLayout,
    arriving: ArrivingRows,
    frauds: NDArray[np.bool_] | None,
    confirmed: NDArray[np.float64] | None,
) -> StoredRecords:
    """The frauds among the rows as records, each at the time from which it counts."""
    if layout.delay is None or frauds is None:
        return StoredRecords(np.empty(0, dtype=np.int64), layout.identity_records(0))
    chosen = np.flatnonzero(frauds[arriving.places])
    seconds = arriving.seconds[chosen]
    if confirmed is not None:
        known = confirmed[arriving.places[chosen]]
        seconds = layout.fraud_seconds(seconds, np.where(np.isnan(known), -np.inf, known))
    buckets = bucket_of(seconds, layout.bucket)
    usable = buckets < MAX_BUCKET
    return StoredRecords(arriving.codes[chosen][usable], layout.frauds(buckets[usable]))


@dataclass(frozen=True, slots=True, eq=False)
class _WindowGroup:
    """Windows that differ in their extents only: computed together, those of one row take a third of the time.

    Attributes:
        column: that is aggregated; empty where none is.
        places: of the windows among all windows.
        extents: numbers of their extents.
        seconds: how far back each window reaches, shape (windows, 1).
    """

    aggregate: Aggregate
    column: str
    places: _Places
    extents: _Places
    seconds: NDArray[np.float64]


@cache
def _window_groups(windows: tuple[Window, ...]) -> tuple[Sequence[_Extent], Sequence[_WindowGroup]]:
    """The distinct extents, and the windows by aggregate and column."""
    extents = list(dict.fromkeys((window.oldest, window.newest) for window in windows))
    groups: dict[tuple[Aggregate, str], list[int]] = {}
    for place, window in enumerate(windows):
        groups.setdefault((window.aggregate, window.column or ""), []).append(place)
    window_groups = []
    for (aggregate, column), places in groups.items():
        chosen = [windows[place] for place in places]
        numbers = [extents.index((window.oldest, window.newest)) for window in chosen]
        seconds = np.array([[float(window.seconds)] for window in chosen])
        window_groups.append(_WindowGroup(aggregate, column, _as_slice(places), _as_slice(numbers), seconds))
    return extents, window_groups


def _as_slice(numbers: list[int]) -> _Places:
    """A slice where the numbers are consecutive: what it takes of an array is not copied."""
    span = slice(numbers[0], numbers[0] + len(numbers))
    return span if numbers == list(range(span.start, span.stop)) else numbers


class _Totals(Protocol):
    """What the rows see of each field, by extent; shape (extents, rows)."""

    def sum(self, field: str, extents: _Places) -> NDArray[np.float64]:
        """Of a field that adds up."""

    def extreme(self, operation: np.ufunc, field: str, extents: _Places, of_none: float) -> NDArray[Any]:
        """Of a field of which the largest counts, or the union of all bits."""


class _FewTotals:
    """The totals of few rows: all fields that add up are computed at once, of all extents."""

    def __init__(self, records: Records, ranges: Ranges) -> None:
        """Takes stored and arriving records, sorted together, and the range of them that each row sees."""
        self._records = records
        self._ranges = ranges
        self._totals: dict[str, NDArray[Any]] = {}
        self._add_up(np.int64, "i", counts)
        self._add_up(np.float64, "f", sums)

    def sum(self, field: str, extents: _Places) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self._totals[field][extents]
        return totals

    def extreme(self, operation: np.ufunc, field: str, extents: _Places, of_none: float) -> NDArray[Any]:
        if field not in self._totals:
            values = np.ascontiguousarray(self._records[field])
            self._totals[field] = extremes(operation, values, self._ranges, of_none)
        return self._totals[field][extents]

    def _add_up(self, kind: type, code: str, add: Callable[[NDArray[Any], Ranges], NDArray[np.float64]]) -> None:
        """Adds up all fields of a kind at once: whole numbers are exact in any order, others are not."""
        names = _adding(self._records.dtype, code)
        if not names:
            return
        matrix: NDArray[Any] = np.empty((len(self._records), len(names)), dtype=kind)
        for place, name in enumerate(names):
            matrix[:, place] = self._records[name]
        self._totals |= zip(names, add(matrix, self._ranges).transpose(2, 0, 1), strict=True)


class _BlockTotals:
    """The totals of many rows: each field is added up when a window needs it, of the extents that it needs."""

    def __init__(self, records: Records, ranges: Ranges) -> None:
        """Takes stored and arriving records, sorted together, and the range of them that each row sees."""
        self._records = records
        self._ranges = ranges
        self._totals: dict[tuple[str, str], NDArray[Any]] = {}

    def sum(self, field: str, extents: _Places) -> NDArray[np.float64]:
        add = counts if self._records.dtype[field].kind == "i" else sums
        return self._total(field, extents, lambda values, ranges: add(values[:, None], ranges)[..., 0])

    def extreme(self, operation: np.ufunc, field: str, extents: _Places, of_none: float) -> NDArray[Any]:
        return self._total(field, extents, lambda values, ranges: extremes(operation, values, ranges, of_none))

    def _total(
        self, field: str, extents: _Places, compute: Callable[[NDArray[Any], Ranges], NDArray[Any]]
    ) -> NDArray[Any]:
        key = (field, str(extents))
        if key not in self._totals:
            values = np.ascontiguousarray(self._records[field])
            ranges = Ranges(self._ranges.start[extents], self._ranges.stop[extents])
            self._totals[key] = compute(values, ranges)
        return self._totals[key]


@cache
def _adding(dtype: np.dtype[np.void], code: str) -> tuple[str, ...]:
    """The fields of a kind that add up."""
    others = ("bucket", "last", "largest:")
    return tuple(name for name in dtype.names or () if dtype[name].kind == code and not name.startswith(others))


def _ranges(ordered: NDArray[np.int64], rows: NDArray[np.int64], extents: Sequence[_Extent]) -> Ranges:
    """For each extent the range of sort keys that each row sees, given their places: shape (extents, rows).

    The rows are in order: searched so, what is near is in the processor's cache.
    """
    own = ordered[rows]
    start, stop = np.empty((2, len(extents), len(rows)), dtype=np.int64)
    ends: dict[int, NDArray[np.int64]] = {0: rows}  # Of its own bucket a row sees what has arrived before it.
    for place, (oldest, newest) in enumerate(extents):
        start[place] = ordered.searchsorted(own - oldest)
        if newest not in ends:
            ends[newest] = ordered.searchsorted(own - (newest - 1))
        stop[place] = ends[newest]
    return Ranges(start, stop)


@dataclass(slots=True, eq=False)
class _GroupTotals:
    """What the rows see of a group of windows, shape (windows, rows).

    Attributes:
        own: the number in each row itself, for a ratio; shape (rows,).
        seconds: the time of each row, shape (rows,).
    """

    totals: _Totals
    group: _WindowGroup
    own: NDArray[np.float64] | None
    seconds: NDArray[np.float64]

    def sum(self, field: str) -> NDArray[np.float64]:
        return self.totals.sum(field, self.group.extents)

    def of_column(self, field: str) -> NDArray[np.float64]:
        return self.sum(f"{field}:{self.group.column}")

    def largest(self, field: str) -> NDArray[np.float64]:
        return self.totals.extreme(np.maximum, field, self.group.extents, -np.inf)

    def union(self, field: str) -> NDArray[np.uint64]:
        return self.totals.extreme(np.bitwise_or, field, self.group.extents, 0)


def _mean(view: _GroupTotals) -> NDArray[np.float64]:
    return _share(view.of_column("sum"), view.of_column("known"), np.nan)


def _std(view: _GroupTotals) -> NDArray[np.float64]:
    known = view.of_column("known")
    mean, square = _share(view.of_column("sum"), known, 0.0), _share(view.of_column("squares"), known, 0.0)
    variance = square - mean * mean
    std: NDArray[np.float64] = np.sqrt(np.where(variance > MIN_VARIANCE_SHARE * square, variance, 0.0))
    return std


def _max(view: _GroupTotals) -> NDArray[np.float64]:
    largest = view.largest(f"largest:{view.group.column}")
    return np.where(np.isneginf(largest), np.nan, largest)


def _since_last(view: _GroupTotals) -> NDArray[np.float64]:
    """Where the transaction that arrived before has a later time, no time has passed."""
    passed: NDArray[np.float64] = view.seconds - view.largest("last")
    return np.clip(passed, 0.0, view.group.seconds)


def _ratio(view: _GroupTotals) -> NDArray[np.float64]:
    assert view.own is not None  # noqa: S101 - `evaluate` gives it to every ratio; mypy cannot see it.
    mean = _mean(view)
    usual = mean > 0
    ratio: NDArray[np.float64] = np.where(usual, view.own / np.where(usual, mean, 1.0), 1.0)
    ratio[:, np.isnan(view.own)] = np.nan
    return ratio


def _risk(view: _GroupTotals) -> NDArray[np.float64]:
    """A fraud that was confirmed late may be in a window that its transaction has left: then it counts as one too."""
    frauds = np.maximum(view.sum("frauds"), 0.0)
    return _share(frauds, np.maximum(view.sum("count"), frauds), 0.0)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64], of_none: float) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1.0), of_none)


def _distinct(view: _GroupTotals) -> NDArray[np.float64]:
    slots_taken = np.bitwise_count(view.union(f"set:{view.group.column}"))
    estimates: NDArray[np.float64] = ESTIMATES[slots_taken]
    return estimates


_COMPUTE: dict[Aggregate, Callable[[_GroupTotals], NDArray[np.float64]]] = {
    Aggregate.COUNT: lambda view: view.sum("count"),
    Aggregate.SUM: lambda view: view.of_column("sum"),
    Aggregate.MEAN: _mean,
    Aggregate.MAX: _max,
    Aggregate.STD: _std,
    Aggregate.DISTINCT: _distinct,
    Aggregate.SINCE_LAST: _since_last,
    Aggregate.RATIO: _ratio,
    Aggregate.RISK: _risk,
}

"""What history features mean: one evaluation, over a whole table in training and over Redis' state in serving.

The state of an entity is a set of records, one for each bucket in which something happened: how many transactions,
the sum of an amount, and so on (`Layout`). Records of one bucket may be merged or stand apart: they mean the same.
:func:`evaluate` takes the records that were there before and the rows that arrive now, sorts both by entity and
bucket, and finds each window as one range of that order: the rows before a row in it are exactly those that the row
sees. In training nothing was there before, and all rows arrive at once.

A fraud counts in the bucket of its transaction or, where it was confirmed later than the delay of labels, in the one
that lay that delay before the confirmation: the window reaches it when it is known, never earlier.

Neutral values, for a row that sees nothing, has no entity or no time, and for all rows while Redis is gone: count,
sum, std, distinct and risk are 0, ratio is 1, since_last is the length of its window; mean and max are missing (NaN).
"""

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.ranges import Ranges, counts, extremes, sums
from contract.schema import Contract, Kind
from contract.table import Table
from contract.windows import Aggregate, Window

Records = NDArray[np.void]
"""A structured array of `Layout.dtype`."""
Columns = Mapping[str, NDArray[Any]]
_Extent = tuple[int, int]
"""A window's oldest and newest bucket, counted back from the row's."""
_Places = slice | list[int]

FURTHEST = 2**30
"""Buckets that lie further from 1970 than this belong to no history: their times are not of this world."""
CODE_BITS = 32
"""A sort key is the entity's code, and below it as many bits for the bucket."""
SLOTS = 64
"""Distinct values are told apart by the slot that their hash falls into, and counted by how many slots are taken."""
ESTIMATES = -SLOTS * np.log1p(-np.minimum(np.arange(SLOTS + 1), SLOTS - 0.5) / SLOTS)
"""How many values took so many slots (linear counting): 5 slots are 5.2 values, 32 are 44, all of them about 310."""
FLAT = 1e-9
"""A variance below this share of the mean square is none: rounding must not look like a spread."""
LARGEST = float(np.finfo(np.float32).max)
DIGEST_BYTES = 8
ENTITY_BYTES = 16


@dataclass(frozen=True)
class Layout:
    """What is kept of each bucket of an entity, for all windows of the same entity and bucket size.

    Attributes:
        time: the column of the transaction's time.
        sums: columns whose sum is kept; `squares` and `largest` are those of them with more.
        sets: columns whose distinct values are kept.
        last: whether the time of the last transaction is kept.
        delay: of labels, seconds; None where frauds are not kept.
        clock: the column beside `time` that holds the time of the day, if one does: without it buckets are others.
    """

    entity: str
    time: str
    bucket: int
    sums: tuple[str, ...] = ()
    squares: tuple[str, ...] = ()
    largest: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    last: bool = False
    delay: int | None = None
    clock: str = ""

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """One record."""
        fields: list[tuple[str, str]] = [("bucket", "<i4"), ("count", "<i4")]
        fields += [("frauds", "<i4")] if self.delay is not None else []
        fields += [("last", "<f8")] if self.last else []
        for column in self.sums:
            fields += [(f"known:{column}", "<i4"), (f"sum:{column}", "<f8")]
        fields += [(f"squares:{column}", "<f8") for column in self.squares]
        fields += [(f"largest:{column}", "<f8") for column in self.largest]
        fields += [(f"set:{column}", "<u8") for column in self.sets]
        return np.dtype(fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """What a record tells of its bucket."""
        return tuple(name for name in self.dtype.names or () if name != "bucket")

    @property
    def adding(self) -> tuple[str, ...]:
        """The fields that add up when records are merged; of the others one counts, or all together."""
        return tuple(name for name in self.fields if self._operation(name) is np.add)

    @cached_property
    def digest(self) -> bytes:
        """Tells layouts apart: equal digests hold the same things, whichever version they were written for."""
        told = {name: value for name, value in asdict(self).items() if name != "clock" or value}
        text = json.dumps(told, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()

    @property
    def names(self) -> frozenset[str]:
        """The columns that a table must have."""
        return frozenset({self.entity, self.time, *self.sums, *self.sets})

    def nothing(self, size: int) -> Records:
        """Records of which nothing is known: what merging changes nothing."""
        records = np.zeros(size, dtype=self.dtype)
        for name in self._extreme:
            records[name] = -np.inf
        return records

    def records(self, columns: Columns, buckets: NDArray[np.int64], seconds: NDArray[np.float64]) -> Records:
        """One record a transaction."""
        records = self.nothing(len(buckets))
        records["bucket"], records["count"] = buckets, 1
        if self.last:
            records["last"] = seconds
        for column in self.sums:
            self._count_numbers(records, column, columns[column])
        for column in self.sets:
            records[f"set:{column}"] = slots(columns[column])
        return records

    def frauds(self, buckets: NDArray[np.int64], change: int = 1) -> Records:
        """One record a confirmed fraud; a change of -1 takes it back."""
        records = self.nothing(len(buckets))
        records["bucket"], records["frauds"] = buckets, change
        return records

    def fraud_seconds(self, seconds: NDArray[np.float64], confirmed: NDArray[np.float64]) -> NDArray[np.float64]:
        """The time at which a fraud counts, given its transaction's and its confirmation's."""
        return np.maximum(seconds, confirmed - float(self.delay or 0))

    def merged(self, keys: NDArray[np.int64], records: Records) -> tuple[NDArray[np.int64], Records]:
        """The distinct keys, ascending, and the records of each as one."""
        order = keys.argsort(kind="stable")
        keys, records = keys[order], records[order]
        begins = _begins(keys)
        found = records[begins]
        for name in self.fields if len(begins) else ():
            found[name] = self._operation(name).reduceat(records[name], begins)
        return keys[begins], found

    @property
    def _extreme(self) -> tuple[str, ...]:
        return (*(("last",) if self.last else ()), *(f"largest:{column}" for column in self.largest))

    def _operation(self, name: str) -> np.ufunc:
        if name in self._extreme:
            return np.maximum
        return np.bitwise_or if name.startswith("set:") else np.add

    def _count_numbers(self, records: Records, column: str, values: NDArray[np.float64]) -> None:
        known = ~np.isnan(values)
        counted = np.where(known, values, 0.0)
        records[f"known:{column}"], records[f"sum:{column}"] = known, counted
        if column in self.squares:
            records[f"squares:{column}"] = counted * counted
        if column in self.largest:
            records[f"largest:{column}"] = np.where(known, values, -np.inf)


@dataclass(frozen=True)
class Plan:
    """Windows that are evaluated together, and the column of time that they share.

    Attributes:
        windows: each once.
        histories: the windows of each contract that they come from, where there are several. What a contract's state
            holds is the contract's own matter: it must be the same whichever others are there beside it.
        clock: the column beside `time` that holds the time of the day, if one does.
    """

    windows: tuple[Window, ...]
    time: str
    histories: tuple[tuple[Window, ...], ...] = ()
    clock: str = ""

    @classmethod
    def of(cls, contracts: Sequence[Contract]) -> "Plan | None":
        """What the first contract's tables can give to all of them; None where none has a history."""
        first, *others = contracts
        if first.time is None:
            return None
        readable = {(column.name, column.kind) for column in first.inputs}
        alike = [each for each in others if each.time is not None and each.time.names == first.time.names]
        histories = tuple(filter(None, (first.history, *(_readable(each, readable) for each in alike))))
        windows = tuple(dict.fromkeys(window for history in histories for window in history))
        several = histories if len(histories) > 1 else ()
        return cls(windows, first.time.name, several, first.time.clock) if windows else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the windows."""
        return tuple(window.name for window in self.windows)

    @cached_property
    def digest(self) -> bytes:
        """Tells plans apart whose values are kept."""
        layouts = [layout.digest.hex() for layout in self.layouts]
        text = json.dumps([self.time, layouts, *(window.to_json() for window in self.windows)])
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()

    @cached_property
    def parts(self) -> tuple[tuple[Layout, tuple[Window, ...]], ...]:
        """The windows by the layout that they read, each once; a layout that others read better has none."""
        found: dict[Layout, list[Window]] = {}
        done = set[Window]()
        for layout, windows in self._groups:
            found.setdefault(layout, []).extend(window for window in windows if window not in done)
            done.update(windows)
        return tuple((layout, tuple(windows)) for layout, windows in found.items())

    @cached_property
    def oldest(self) -> Mapping[Layout, int]:
        """The oldest bucket that a window reads of each layout, counted back from a transaction's."""
        found: dict[Layout, int] = {}
        for layout, windows in self._groups:
            found[layout] = max(found.get(layout, 0), *(window.oldest for window in windows))
        return found

    @property
    def _groups(self) -> Iterator[tuple[Layout, list[Window]]]:
        """For each contract the windows of the same entity and bucket size, and what is kept for them."""
        for history in self.histories or (self.windows,):
            groups: dict[tuple[str, int], list[Window]] = {}
            for window in history:
                groups.setdefault((window.entity, window.bucket), []).append(window)
            yield from ((_layout((self.time, self.clock), windows), windows) for windows in groups.values())

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """What is kept for them."""
        return tuple(layout for layout, _ in self.parts)

    @cached_property
    def seconds(self) -> int:
        """How far back the longest window reaches, its delay included."""
        return max(window.seconds + window.delay + window.bucket for window in self.windows)

    def neutral(self, columns: Columns, rows: int) -> dict[str, NDArray[np.float64]]:
        """The values of rows that see nothing, by window."""
        return {window.name: _neutral(window, columns, rows) for window in self.windows}


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of a table that belong to an entity, in order of arrival.

    Attributes:
        places: their positions in the table, shape (rows,) like all of the next.
        codes: number of the entity, from 0.
        entities: text of each entity by its number.
    """

    places: NDArray[np.int64]
    codes: NDArray[np.int64]
    entities: Sequence[str]
    records: Records
    seconds: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Records that were there before, and to which entity of the batch each belongs; shape (records,) both."""

    codes: NDArray[np.int64]
    records: Records


def batch(layout: Layout, columns: Columns) -> Batch:
    """The rows of a table as they arrive; those without an entity or a time of this world are left out."""
    seconds = columns[layout.time]
    buckets = bucket_of(seconds, layout.bucket)
    entities = columns[layout.entity]
    known = (np.abs(buckets) < FURTHEST) & (entities != "")
    order = seconds.argsort(kind="stable")
    places = order[known[order]]
    codes, texts = numbered(entities[places].tolist())
    used = {name: columns[name][places] for name in (*layout.sums, *layout.sets)}
    records = layout.records(used, buckets[places], seconds[places])
    return Batch(places, codes, texts, records, seconds[places])


def bucket_of(seconds: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """The bucket of each time; FURTHEST where it has none."""
    buckets = np.floor(seconds / size)
    usable = np.abs(buckets) < FURTHEST  # False of NaN too
    return np.where(usable, buckets, FURTHEST).astype(np.int64)


def keys(codes: NDArray[np.int64], buckets: NDArray[Any]) -> NDArray[np.int64]:
    """Sort keys: by entity, then by bucket."""
    return (codes << CODE_BITS) + (buckets.astype(np.int64) + 2 * FURTHEST)


def evaluate(
    windows: Sequence[Window], before: Stored, arriving: Batch, columns: Columns
) -> dict[str, NDArray[np.float64]]:
    """The values of one layout's windows for the rows of the batch, shape (rows,) each, by name.

    `columns` are those of the whole table: a ratio looks at its row's own number.
    """
    extents, alike = _alike(tuple(windows))
    seen = _Seen.by(extents, before, arriving)
    found = np.empty((len(windows), len(arriving.places)))
    with np.errstate(over="ignore"):  # A ratio to next to nothing: it is clipped.
        for each in alike:
            own = columns[each.column][arriving.places] if each.aggregate is Aggregate.RATIO else None
            found[each.places] = _COMPUTE[each.aggregate](_View(seen, each, own, arriving.seconds))
    np.minimum(np.maximum(found, -LARGEST, out=found), LARGEST, out=found)  # np.clip takes three times as long.
    return {window.name: values for window, values in zip(windows, found, strict=True)}


def over(
    contract: Contract,
    table: Table,
    frauds: NDArray[np.bool_] | None,
    confirmed: NDArray[np.float64] | None = None,
) -> Table:
    """The table with a column for each history feature: float64, by the window's name.

    Args:
        contract: whose history it is; without one the table comes back as it is.
        table: all transactions that there are; they arrive in order of time.
        frauds: which of them were confirmed frauds, shape (rows,); None counts no fraud.
        confirmed: when, in seconds as the time column; where it is NaN or not given, within the delay of labels.
    """
    plan = Plan.of([contract])
    if plan is None:
        return table
    found = plan.neutral(table.columns, table.rows)
    for layout, windows in plan.parts:
        arriving = batch(layout, table.columns)
        before = _known_frauds(layout, arriving, frauds, confirmed)
        for name, values in evaluate(windows, before, arriving, table.columns).items():
            found[name][arriving.places] = values
    return table.extended(found)


def numbered(texts: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Each text's number, in order of first appearance, and the distinct texts by number."""
    distinct = list(dict.fromkeys(texts))
    numbers = {text: number for number, text in enumerate(distinct)}
    return np.fromiter(map(numbers.__getitem__, texts), np.int64, len(texts)), distinct


def slots(texts: NDArray[Any]) -> NDArray[np.uint64]:
    """The slot of each text as a bit of 64; none for a missing one."""
    codes, distinct = numbered(texts.tolist())
    bits = np.array([_slot(text) for text in distinct], dtype=np.uint64)
    return bits[codes] if len(bits) else np.empty(0, dtype=np.uint64)


def _slot(text: str) -> int:
    if not text:
        return 0
    return 1 << (hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=1).digest()[0] % SLOTS)


def _readable(contract: Contract, columns: Container[tuple[str, Kind]]) -> tuple[Window, ...]:
    """The windows of a contract that read these columns only."""
    kinds = {column.name: column.kind for column in contract.inputs}
    return tuple(
        window
        for window in contract.history
        if all((name, kinds[name]) in columns for name in (window.entity, window.column) if name is not None)
    )


def _layout(time: tuple[str, str], windows: Iterable[Window]) -> Layout:
    """What these windows, of one entity and bucket size, need."""
    needs: dict[Aggregate, set[str]] = {aggregate: set() for aggregate in Aggregate}
    for window in windows:
        needs[window.aggregate].add(window.column or "")
        entity, bucket = window.entity, window.bucket
    delays = {window.delay for window in windows if window.aggregate is Aggregate.RISK}
    means = needs[Aggregate.SUM] | needs[Aggregate.MEAN] | needs[Aggregate.RATIO]
    return Layout(
        entity=entity,
        time=time[0],
        clock=time[1],
        bucket=bucket,
        sums=tuple(sorted(means | needs[Aggregate.STD] | needs[Aggregate.MAX])),
        squares=tuple(sorted(needs[Aggregate.STD])),
        largest=tuple(sorted(needs[Aggregate.MAX])),
        sets=tuple(sorted(needs[Aggregate.DISTINCT])),
        last=bool(needs[Aggregate.SINCE_LAST]),
        delay=next(iter(delays), None),
    )


def _known_frauds(
    layout: Layout, arriving: Batch, frauds: NDArray[np.bool_] | None, confirmed: NDArray[np.float64] | None
) -> Stored:
    """The frauds among the rows as records; windows of risk end before they could have been known."""
    if layout.delay is None or frauds is None:
        return Stored(np.empty(0, dtype=np.int64), layout.nothing(0))
    chosen = np.flatnonzero(frauds[arriving.places])
    seconds = arriving.seconds[chosen]
    if confirmed is not None:
        known = confirmed[arriving.places[chosen]]
        seconds = layout.fraud_seconds(seconds, np.where(np.isnan(known), -np.inf, known))
    buckets = bucket_of(seconds, layout.bucket)
    usable = buckets < FURTHEST
    return Stored(arriving.codes[chosen][usable], layout.frauds(buckets[usable]))


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """Windows that differ in their extents only: those of one transaction are computed in a third of the time.

    Attributes:
        column: what is aggregated; empty where nothing is.
        places: theirs among all windows.
        extents: numbers of their extents.
        seconds: how far back each reaches, shape (windows, 1).
    """

    aggregate: Aggregate
    column: str
    places: _Places
    extents: _Places
    seconds: NDArray[np.float64]


@cache
def _alike(windows: tuple[Window, ...]) -> tuple[Sequence[_Extent], Sequence[_Alike]]:
    """The distinct extents, and the windows by what is computed."""
    extents = list(dict.fromkeys((window.oldest, window.newest) for window in windows))
    groups: dict[tuple[Aggregate, str], list[int]] = {}
    for place, window in enumerate(windows):
        groups.setdefault((window.aggregate, window.column or ""), []).append(place)
    found = []
    for (aggregate, column), places in groups.items():
        chosen = [windows[place] for place in places]
        numbers = [extents.index((window.oldest, window.newest)) for window in chosen]
        seconds = np.array([[float(window.seconds)] for window in chosen])
        found.append(_Alike(aggregate, column, _compact(places), _compact(numbers), seconds))
    return extents, found


def _compact(numbers: list[int]) -> _Places:
    """A slice where they follow each other: what it takes of an array is not copied."""
    span = slice(numbers[0], numbers[0] + len(numbers))
    return span if numbers == list(range(span.start, span.stop)) else numbers


class _Seen:
    """What the rows of a batch see, by extent; all fields that add up are worked on at once."""

    def __init__(self, records: Records, ranges: Ranges) -> None:
        """Takes records in order of entity, bucket and arrival, and what each row sees of them.

        The ranges have the shape (extents, rows).
        """
        self._records = records
        self._ranges = ranges
        self._found: dict[str, NDArray[Any]] = {}
        self._add_up(np.int64, "i", counts)
        self._add_up(np.float64, "f", sums)

    @classmethod
    def by(cls, extents: Sequence[_Extent], before: Stored, arriving: Batch) -> "_Seen":
        """Sorts the records of before and of now, and finds what each row sees of each extent."""
        # With its type given: to find out that both are of the same costs ten times as long.
        records = np.concatenate([before.records, arriving.records], dtype=arriving.records.dtype)
        unsorted = keys(np.concatenate([before.codes, arriving.codes]), records["bucket"])
        order = unsorted.argsort(kind="stable")
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        ordered, records, rows = unsorted[order], records[order], places[len(before.codes) :]
        return cls(records, _ranges(ordered, rows, extents))

    def sum(self, field: str) -> NDArray[Any]:
        """Of a field that adds up; shape (extents, rows), like the next ones."""
        return self._found[field]

    def largest(self, field: str) -> NDArray[Any]:
        """Of a field of which the largest counts."""
        return self._extreme(np.maximum, field, -np.inf)

    def union(self, field: str) -> NDArray[Any]:
        """Of a field of bits."""
        return self._extreme(np.bitwise_or, field, 0)

    def _add_up(self, kind: type, code: str, add: Callable[[NDArray[Any], Ranges], NDArray[np.float64]]) -> None:
        """All fields of a kind that add up at once: whole numbers are exact however they are added, others are not."""
        names = _adding(self._records.dtype, code)
        if not names:
            return
        matrix: NDArray[Any] = np.empty((len(self._records), len(names)), dtype=kind)
        for place, name in enumerate(names):
            matrix[:, place] = self._records[name]
        self._found |= zip(names, add(matrix, self._ranges).transpose(2, 0, 1), strict=True)

    def _extreme(self, operation: np.ufunc, field: str, of_none: float) -> NDArray[Any]:
        if field not in self._found:
            values = np.ascontiguousarray(self._records[field])
            self._found[field] = extremes(operation, values, self._ranges, of_none)
        return self._found[field]


@cache
def _adding(dtype: np.dtype[np.void], code: str) -> tuple[str, ...]:
    """The fields of a kind that add up."""
    others = ("bucket", "last", "largest:")
    return tuple(name for name in dtype.names or () if dtype[name].kind == code and not name.startswith(others))


def _ranges(ordered: NDArray[np.int64], rows: NDArray[np.int64], extents: Sequence[_Extent]) -> Ranges:
    """For each extent the range of sort keys that each row sees: shape (extents, rows)."""
    # Sought in ascending order, they are found in a fifth of the time: what is near is in the processor's cache.
    ascending = rows.argsort()
    own = ordered[rows[ascending]]
    ends = np.array(extents, dtype=np.int64).reshape(-1, 2)
    start, stop = np.empty((2, len(extents), len(rows)), dtype=np.int64)
    start[:, ascending] = ordered.searchsorted(own - ends[:, :1])
    stop[:, ascending] = ordered.searchsorted(own - ends[:, 1:] + 1)
    stop[ends[:, 1] == 0] = rows  # Of its own bucket a row sees what has arrived before it.
    return Ranges(start, stop)


@dataclass(slots=True, eq=False)
class _View:
    """What the rows see of windows that are alike, shape (windows, rows); `own` is each row's number, for a ratio."""

    seen: _Seen
    alike: _Alike
    own: NDArray[np.float64] | None
    seconds: NDArray[np.float64]

    def sum(self, field: str) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.seen.sum(field)[self.alike.extents]
        return found

    def of_column(self, field: str) -> NDArray[np.float64]:
        return self.sum(f"{field}:{self.alike.column}")


def _mean(view: _View) -> NDArray[np.float64]:
    return _share(view.of_column("sum"), view.of_column("known"), np.nan)


def _std(view: _View) -> NDArray[np.float64]:
    known = view.of_column("known")
    mean, square = _share(view.of_column("sum"), known, 0.0), _share(view.of_column("squares"), known, 0.0)
    variance = square - mean * mean
    found: NDArray[np.float64] = np.sqrt(np.where(variance > FLAT * square, variance, 0.0))
    return found


def _max(view: _View) -> NDArray[np.float64]:
    found: NDArray[np.float64] = view.seen.largest(f"largest:{view.alike.column}")[view.alike.extents]
    return np.where(np.isneginf(found), np.nan, found)


def _since_last(view: _View) -> NDArray[np.float64]:
    """Where the one that arrived before has a later time, no time has passed."""
    passed: NDArray[np.float64] = view.seconds - view.seen.largest("last")[view.alike.extents]
    return np.clip(passed, 0.0, view.alike.seconds)


def _ratio(view: _View) -> NDArray[np.float64]:
    assert view.own is not None  # noqa: S101 - `evaluate` gives it to every ratio; mypy cannot see it.
    mean = _mean(view)
    usual = mean > 0
    ratio: NDArray[np.float64] = np.where(usual, view.own / np.where(usual, mean, 1.0), 1.0)
    ratio[:, np.isnan(view.own)] = np.nan
    return ratio


def _risk(view: _View) -> NDArray[np.float64]:
    """A fraud that became known late may be in a window that its transaction has left: then all that is known is it."""
    frauds = np.maximum(view.sum("frauds"), 0.0)
    return _share(frauds, np.maximum(view.sum("count"), frauds), 0.0)


def _share(part: NDArray[np.float64], whole: NDArray[np.float64], of_none: float) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1.0), of_none)


def _distinct(view: _View) -> NDArray[np.float64]:
    slots_taken = np.bitwise_count(view.seen.union(f"set:{view.alike.column}")[view.alike.extents])
    found: NDArray[np.float64] = ESTIMATES[slots_taken]
    return found


_COMPUTE: dict[Aggregate, Callable[[_View], NDArray[np.float64]]] = {
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


def _neutral(window: Window, columns: Columns, rows: int) -> NDArray[np.float64]:
    if window.aggregate is Aggregate.RATIO and window.column is not None:
        return np.where(np.isnan(columns[window.column]), np.nan, np.ones(rows))
    if window.aggregate is Aggregate.SINCE_LAST:
        return np.full(rows, float(window.seconds))
    return np.full(rows, np.nan if window.aggregate in {Aggregate.MEAN, Aggregate.MAX} else 0.0)


def _begins(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each run of equal values begins."""
    if not len(ordered):
        return np.empty(0, dtype=np.int64)
    return np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))

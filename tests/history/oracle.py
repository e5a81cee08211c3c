"""What history features mean, a second time and as plainly as can be; and random streams to hold the two against.

One transaction after the other, in order of arrival, looks at all that came before it. Nothing is shared with
`history.evaluation` but the slot of a text, which is a definition.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing
from contract.windows import COLUMN_AGGREGATES, DAY, HOUR, MINUTE, NUMBER_AGGREGATES, Aggregate, Window
from history.evaluation import FLOAT32_MAX, MIN_VARIANCE_SHARE
from history.layout import MAX_BUCKET, SLOTS, slots

CARD, SHOP, AMOUNT, FEE, CHANNEL = "card", "shop", "amount", "fee", "channel"
ENTITIES, NUMBERS, CATEGORIES = (CARD, SHOP), (AMOUNT, FEE), (CHANNEL,)
TIME = "time"
COLUMNS = (
    Column("id", Kind.ID),
    Column(TIME, Kind.TIMESTAMP, Missing.ALLOW),
    *(Column(name, Kind.ENTITY, Missing.ALLOW) for name in ENTITIES),
    *(Column(name, Kind.NUMBER, Missing.ALLOW) for name in NUMBERS),
    *(Column(name, Kind.CATEGORY, Missing.ALLOW, values=("chip", "online")) for name in CATEGORIES),
    Column("fraud", Kind.LABEL),
)
AMOUNT_FEATURE = Feature("amount", FeatureKind.NUMBER, AMOUNT)


@dataclass(frozen=True)
class Transaction:
    """A transaction arrives.

    Attributes:
        id: one that arrived before makes this a repeat, which counts no more; an empty one is none.
        time: seconds since 1970; NaN is a missing one.
        texts: its entities and categories by column; "" is a missing one.
        numbers: by column; NaN is a missing one.
    """

    id: str
    time: float
    texts: Mapping[str, str]
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Label:
    """A label arrives: it says of a transaction that came before what it was, from now on, whatever was said before."""

    id: str
    fraud: bool
    confirmed: float


Event = Transaction | Label
Values = dict[str, float]


@dataclass
class _Arrived:
    """A transaction that counts, and the label that it has so far."""

    transaction: Transaction
    values: Values
    label: Label | None = None


@dataclass
class _Past:
    """All that has arrived, in this order."""

    arrived: list[_Arrived] = field(default_factory=list)
    by_id: dict[str, _Arrived] = field(default_factory=dict)


def values(windows: Sequence[Window], events: Iterable[Event]) -> list[Values]:
    """The value of each window, by its name, for each transaction among events in order of arrival.

    A repeat has the values of the first time. A label of a transaction that never came says nothing.
    """
    past, result = _Past(), []
    for event in events:
        if isinstance(event, Label):
            if event.id in past.by_id:
                past.by_id[event.id].label = event
        elif event.id in past.by_id:
            result.append(past.by_id[event.id].values)
        else:
            result.append(_enter(windows, past, event))
    return result


def together(batch: Iterable[Transaction]) -> list[Transaction]:
    """The order in which transactions of one file arrive."""
    return sorted(batch, key=lambda each: (math.isnan(each.time), 0.0 if math.isnan(each.time) else each.time))


def contract_of(windows: Sequence[Window]) -> Contract:
    """A contract with this history; each history feature is one of the matrix too."""
    features = (Feature(window.name, FeatureKind.NUMBER, window.name) for window in windows)
    return Contract("oracle", COLUMNS, (AMOUNT_FEATURE, *features), tuple(windows))


def columns_of(transactions: Sequence[Transaction]) -> dict[str, NDArray[Any]]:
    """The columns of a table of them."""
    result: dict[str, NDArray[Any]] = {"id": np.array([each.id for each in transactions], dtype=object)}
    result[TIME] = np.array([each.time for each in transactions], dtype=np.float64)
    for name in (*ENTITIES, *CATEGORIES):
        result[name] = np.array([each.texts[name] for each in transactions], dtype=object)
    for name in NUMBERS:
        result[name] = np.array([each.numbers[name] for each in transactions], dtype=np.float64)
    return result


def _enter(windows: Sequence[Window], past: _Past, transaction: Transaction) -> Values:
    result = {window.name: _value(window, past, transaction) for window in windows}
    entry = _Arrived(transaction, result)
    past.arrived.append(entry)
    if transaction.id:
        past.by_id[transaction.id] = entry
    return result


def _value(window: Window, past: _Past, now: Transaction) -> float:
    visible = [each.transaction for each in past.arrived if _sees(window, now, each.transaction, each.transaction.time)]
    if window.aggregate is Aggregate.COUNT:
        return float(len(visible))
    if window.aggregate is Aggregate.SINCE_LAST:
        passed = now.time - max((each.time for each in visible), default=-math.inf)
        return float(window.seconds) if not visible else min(max(passed, 0.0), float(window.seconds))
    if window.aggregate is Aggregate.DISTINCT:
        return _distinct([each.texts[window.column or ""] for each in visible])
    if window.aggregate is Aggregate.RISK:
        frauds = [each for each in past.arrived if _sees_fraud(window, now, each)]
        return len(frauds) / max(len(visible), len(frauds)) if visible or frauds else 0.0
    numbers = [each.numbers[window.column or ""] for each in visible]
    known = [number for number in numbers if not math.isnan(number)]
    result = _of_numbers(window.aggregate, known, now.numbers[window.column or ""])
    return result if math.isnan(result) else min(max(result, -FLOAT32_MAX), FLOAT32_MAX)


def _of_numbers(aggregate: Aggregate, known: Sequence[float], own: float) -> float:
    if aggregate is Aggregate.SUM:
        return math.fsum(known)
    if aggregate is Aggregate.MAX:
        return max(known, default=math.nan)
    mean = math.fsum(known) / len(known) if known else math.nan
    if aggregate is Aggregate.MEAN:
        return mean
    if aggregate is Aggregate.STD:
        return _std(known, mean)
    usual = 1.0 if math.isnan(own) or not mean > 0 else own / mean
    return math.nan if math.isnan(own) else usual


def _std(known: Sequence[float], mean: float) -> float:
    if not known:
        return 0.0
    variance = math.fsum((number - mean) ** 2 for number in known) / len(known)
    square = math.fsum(number**2 for number in known) / len(known)
    return math.sqrt(variance) if variance > MIN_VARIANCE_SHARE * square else 0.0


def _distinct(texts: Sequence[str]) -> float:
    """Linear counting."""
    removed = {int(slots(np.array([text], dtype=object))[0]) for text in texts if text}
    return -SLOTS * math.log1p(-min(len(removed), SLOTS - 0.5) / SLOTS)


def _sees(window: Window, now: Transaction, other: Transaction, seconds: float) -> bool:
    """Whether it sees what counts of another one at this time."""
    own, bucket = _bucket(now.time, window), _bucket(seconds, window)
    entity = now.texts[window.entity]
    if own is None or bucket is None or not entity or entity != other.texts[window.entity]:
        return False
    buckets, delay = window.seconds // window.bucket, window.delay // window.bucket
    if window.delay:
        return own - delay - buckets <= bucket <= own - delay - 1
    return own - buckets + 1 <= bucket <= own


def _sees_fraud(window: Window, now: Transaction, other: _Arrived) -> bool:
    if other.label is None or not other.label.fraud or _bucket(other.transaction.time, window) is None:
        return False
    counts = max(other.transaction.time, other.label.confirmed - window.delay)
    return _sees(window, now, other.transaction, counts)


def _bucket(seconds: float, window: Window) -> int | None:
    if math.isnan(seconds) or math.isinf(seconds):
        return None
    bucket = math.floor(seconds / window.bucket)
    return bucket if abs(bucket) < MAX_BUCKET else None


# Strategies.

BUCKETS = (MINUTE, HOUR, DAY)
BASES = (0.0, 1.7e9 - 1.7e9 % DAY, -1e9 + 1e9 % DAY)
"""Around them: 1970, today, and long before."""
ABSURD = (math.nan, 1e30, -1e30, 1e11, -MAX_BUCKET * 60.0, math.nextafter(MAX_BUCKET * 60.0, 0.0))
"""The last three are within the range of MAX_BUCKET for some sizes of bucket only."""
QUARTERS = st.integers(-4_000, 4_000).map(lambda number: number / 4)
"""Sums and squares of them are exact in any order."""
CENTS = st.sampled_from([0.0, 0.01, 4.99, 5.0, 5.01, 99.99, 100.0, 9_999.99]) | st.integers(0, 10**6).map(
    lambda cents: cents / 100
)
EXTREMES = st.sampled_from([0.0, 1e-300, 1e-30, 0.1, 0.3, 7.77, 1e6, 1e15, 3.4e38])
"""None is negative: of sums to next to nothing no evaluation can tell the sign."""
AMOUNTS = (QUARTERS, CENTS, EXTREMES)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, ...]:
    """Different windows, of every aggregate at least one; frauds of each state have one delay."""
    delays = {(entity, bucket): draw(st.integers(1, 30)) for entity in ENTITIES for bucket in BUCKETS}
    aggregates = [*Aggregate, *draw(st.lists(st.sampled_from(Aggregate), max_size=4))]
    drawn = [draw(_window(aggregate, delays)) for aggregate in aggregates]
    return tuple(draw(st.permutations(list(dict.fromkeys(drawn)))))


@st.composite
def _window(draw: st.DrawFn, aggregate: Aggregate, delays: Mapping[tuple[str, int], int]) -> Window:
    entity, bucket = draw(st.sampled_from(ENTITIES)), draw(st.sampled_from(BUCKETS))
    delay = 0
    if aggregate is Aggregate.RISK:
        delay = delays[entity, bucket]
    elif aggregate not in {Aggregate.SINCE_LAST, Aggregate.RATIO}:
        delay = draw(st.sampled_from([0, 0, 1, 2, 7]))
    of = draw(st.sampled_from(NUMBERS if aggregate in NUMBER_AGGREGATES else (*CATEGORIES, *ENTITIES)))
    column = of if aggregate in COLUMN_AGGREGATES else None
    return Window(aggregate, entity, column, draw(st.sampled_from([1, 2, 3, 24, 30])) * bucket, bucket, delay * bucket)


@st.composite
def times(draw: st.DrawFn) -> float:
    """Around borders of buckets, now and then of no world."""
    if draw(st.integers(0, 14)) == 0:
        return float(draw(st.sampled_from(ABSURD)))
    base = draw(st.sampled_from([*BASES[:1] * 4, *BASES[1:]]))
    border = draw(st.integers(-3, 3)) * draw(st.sampled_from(BUCKETS))
    return float(base + border + draw(st.sampled_from([0, 0, -1, 1, 0.001, -1e-6])))


@st.composite
def transactions(draw: st.DrawFn, most: int = 20) -> list[Transaction]:
    """Transactions of few entities, in no order of time; each has an id of its own."""
    amounts = draw(st.sampled_from(AMOUNTS)) | st.just(math.nan)
    texts = {name: st.sampled_from(["a", "a", "b", "c", ""]) for name in ENTITIES}
    texts |= {name: st.sampled_from(["chip", "online", "new", "neu", ""]) for name in CATEGORIES}
    rows = st.tuples(times(), st.fixed_dictionaries(texts), st.fixed_dictionaries(dict.fromkeys(NUMBERS, amounts)))
    return [Transaction(f"t-{place}", *row) for place, row in enumerate(draw(st.lists(rows, max_size=most)))]


@st.composite
def batches(draw: st.DrawFn, most: int = 20, repeats: bool = True) -> list[list[Event]]:
    """A stream as it arrives: files of transactions, each in the order in which its rows count, and labels between.

    Labels come late or early, again, corrected, and of transactions that are unknown; transactions come again.
    """
    waiting, result, known = draw(transactions(most)), list[list[Event]](), list[Transaction]()
    while waiting:
        size = draw(st.integers(1, min(len(waiting), 6)))
        batch, waiting = waiting[:size], waiting[size:]
        repeat = draw(st.lists(st.sampled_from([*known, *batch]), max_size=2)) if repeats else []
        result.append([*together([*batch, *repeat])])
        known += batch
        result.append([draw(_label(known)) for _ in range(draw(st.integers(0, 3)))])
    return result


@st.composite
def _label(draw: st.DrawFn, known: Sequence[Transaction]) -> Label:
    if draw(st.integers(0, 9)) == 0:
        return Label("unknown", fraud=True, confirmed=0.0)
    transaction = draw(st.sampled_from(known))
    later = draw(st.sampled_from([-DAY, 0, 1, MINUTE, HOUR, DAY, 2 * DAY, 31 * DAY, 1e30]))
    confirmed = later + (0.0 if math.isnan(transaction.time) else transaction.time)
    return Label(transaction.id, draw(st.sampled_from([True, True, False])), confirmed)


@st.composite
def in_time(draw: st.DrawFn, most: int = 25) -> list[Event]:
    """A stream in order of time: transactions, and labels that arrive when they are confirmed."""
    rows = draw(transactions(most))
    labels = [label for each in rows if draw(st.booleans()) and (label := draw(_label([each]))).id == each.id]
    times_of = {each.id: _known_at(each.time) for each in rows}
    moments: list[tuple[float, int, Event]] = [(times_of[each.id], 0, each) for each in rows]
    moments += [(max(times_of[each.id], each.confirmed), 1, each) for each in labels]
    return [event for _, _, event in sorted(moments, key=lambda each: each[:2])]


def _known_at(seconds: float) -> float:
    return math.inf if math.isnan(seconds) else seconds

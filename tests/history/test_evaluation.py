import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, TimeFormat
from contract.table import DictionaryEncoded, Table
from contract.windows import DAY, HOUR, MINUTE, Aggregate, Window
from history import evaluation as history
from history import layout as layouts
from history.evaluation import StoredRecords
from history.layout import RecordLayout
from history.plan import Plan
from tests.history import oracle
from tests.history.oracle import (
    AMOUNT,
    CARD,
    CHANNEL,
    FEE,
    NUMBERS,
    SHOP,
    TIME,
    Event,
    Label,
    Transaction,
)

WINDOWS = oracle.windows()
MANY = settings(max_examples=300)
Values = dict[str, list[float]]
START = 1_000 * DAY
NAN = math.nan


class Memory:
    """What serving remembers, without Redis: records by layout and entity, and of each transaction where it counts."""

    def __init__(self, windows: Sequence[Window], reorder: Callable[[list[Any]], list[Any]] = list) -> None:
        """`reorder` is what may happen to the records of a state between two batches."""
        self.plan = plan_of(windows)
        self._states: dict[tuple[bytes, str], list[np.void]] = {}
        self._transactions: dict[str, Transaction] = {}
        self._labels: dict[str, Label] = {}
        self._reorder = reorder

    def enter(self, transactions: Sequence[Transaction]) -> Values:
        """The values of a batch, which is then remembered."""
        columns = oracle.columns_of(transactions)
        result = self.plan.default_values(columns, len(transactions))
        for layout, windows in self.plan.parts:
            arriving = history.arriving_rows(layout, columns)
            before = self._before(layout, arriving.entities)
            for name, values in history.evaluate(windows, before, arriving, columns).items():
                result[name][arriving.places] = values
            for code, record in zip(arriving.codes.tolist(), arriving.records, strict=True):
                self._state(layout, arriving.entities[code]).append(record)
        self._transactions |= {each.id: each for each in transactions}
        return {name: values.tolist() for name, values in result.items()}

    def label(self, label: Label) -> None:
        """What was said of the transaction before is taken back."""
        if label.id not in self._transactions:
            return
        if (before := self._labels.get(label.id)) is not None and before.fraud:
            self._count(before, -1)
        if label.fraud:
            self._count(label, 1)
        self._labels[label.id] = label

    def merge(self) -> None:
        """Makes one record of all records of a bucket, in each state."""
        for layout in self.plan.layouts:
            for (digest, entity), state in self._states.items():
                if digest == layout.digest and state:
                    records = np.array(state, dtype=layout.dtype)
                    merged = layout.merged(records["bucket"].astype(np.int64), records)[1]
                    self._states[digest, entity] = list(merged)

    def _count(self, label: Label, change: int) -> None:
        transaction = self._transactions[label.id]
        for layout in (layout for layout in self.plan.layouts if layout.delay is not None):
            entity, seconds = transaction.texts[layout.entity], np.array([transaction.time])
            counts = layout.fraud_seconds(seconds, np.array([label.confirmed]))
            buckets = history.bucket_of(np.append(seconds, counts), layout.bucket)
            if entity and np.all(np.abs(buckets) < layouts.MAX_BUCKET):
                self._state(layout, entity).extend(layout.frauds(buckets[1:], change))

    def _state(self, layout: RecordLayout, entity: str) -> list[np.void]:
        return self._states.setdefault((layout.digest, entity), [])

    def _before(self, layout: RecordLayout, entities: Sequence[str]) -> StoredRecords:
        states = [self._reorder(self._state(layout, entity)) for entity in entities]
        codes = np.repeat(np.arange(len(states)), [len(state) for state in states])
        return StoredRecords(codes, np.array([record for state in states for record in state], dtype=layout.dtype))


def plan_of(windows: Sequence[Window]) -> Plan:
    """The plan of a contract with these windows."""
    plan = Plan.of([oracle.contract_of(windows)])
    assert plan is not None
    return plan


def of_kind(events: Sequence[Event]) -> list[Transaction]:
    """The transactions among events."""
    return [event for event in events if isinstance(event, Transaction)]


def table_of(transactions: Sequence[Transaction]) -> Table:
    """A table of them."""
    return Table(oracle.columns_of(transactions), np.arange(1, len(transactions) + 1))


def trained(windows: Sequence[Window], events: Sequence[Event]) -> Values:
    """The values that training computes of a stream, in the order of its transactions."""
    rows, labels = of_kind(events), {event.id: event for event in events if isinstance(event, Label)}
    frauds = np.array([each.id in labels and labels[each.id].fraud for each in rows], dtype=np.bool_)
    confirmed = np.array([labels[each.id].confirmed if each.id in labels else NAN for each in rows])
    table = history.with_history(oracle.contract_of(windows), table_of(rows), frauds, confirmed)
    return {window.name: table.columns[window.name].tolist() for window in windows}


def served(memory: Memory, batches: Sequence[Sequence[Event]]) -> Values:
    """The values that a memory gives for batches of transactions and labels."""
    result: Values = {name: [] for name in memory.plan.names}
    for batch in batches:
        for label in (event for event in batch if isinstance(event, Label)):
            memory.label(label)
        for name, values in memory.enter(of_kind(batch)).items():
            result[name] += values
    return result


def expected(windows: Sequence[Window], events: Sequence[Event]) -> Values:
    """The values by the oracle."""
    result = oracle.values(windows, events)
    return {window.name: [each[window.name] for each in result] for window in windows}


def assert_close(
    windows: Sequence[Window], result: Values, correct: Values, transactions: Sequence[Transaction]
) -> None:
    """Equal to 1e-9 of each value; of the largest number of the stream for a standard deviation, which is a root."""
    for window in windows:
        numbers = [abs(each.numbers[window.column]) for each in transactions if window.column in NUMBERS]
        largest = max((number for number in numbers if not math.isnan(number)), default=0.0)
        slack = 1e-9 * largest if window.aggregate is Aggregate.STD else 1e-300
        np.testing.assert_allclose(result[window.name], correct[window.name], 1e-9, slack, err_msg=window.name)


def slices(draw: st.DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """A stream cut anywhere; transactions come before the labels of their batch, so each batch is of one kind."""
    cuts = [0, *sorted(draw(st.lists(st.integers(0, len(events)), max_size=5))), len(events)]
    return [run for start, stop in pairwise(cuts) for run in runs(events[start:stop])]


def runs(events: Sequence[Event]) -> list[list[Event]]:
    """Neighbours of the same kind."""
    result: list[list[Event]] = []
    for event in events:
        if result and isinstance(result[-1][-1], type(event)):
            result[-1].append(event)
        else:
            result.append([event])
    return result


cut = st.composite(slices)


def row(seconds: float, card: str = "a", amount: float = 1.0, channel: str = "chip", name: str = "") -> Transaction:
    """A transaction, in seconds from START."""
    texts = {CARD: card, SHOP: "s", CHANNEL: channel}
    return Transaction(name or f"{seconds}{card}{amount}{channel}", START + seconds, texts, {AMOUNT: amount, FEE: NAN})


def one(aggregate: Aggregate, column: str | None = None, hours: int = 24, delay: int = 0) -> Window:
    """A window of whole hours over a card."""
    return Window(aggregate, CARD, column, hours * HOUR, HOUR, delay * HOUR)


def value(window: Window, transactions: Sequence[Transaction]) -> float:
    """Of the last of them."""
    return trained([window], transactions)[window.name][-1]


# Training and serving against the oracle.


@MANY
@given(WINDOWS, oracle.in_time())
def test_training_means_what_the_oracle_means(windows: tuple[Window, ...], events: list[Event]) -> None:
    """Over a whole table each aggregate is what one transaction after the other sees; labels count when confirmed."""
    assert_close(windows, trained(windows, events), expected(windows, events), of_kind(events))


@MANY
@given(WINDOWS, oracle.batches(repeats=False))
def test_serving_means_what_the_oracle_means(windows: tuple[Window, ...], batches: list[list[Event]]) -> None:
    """Batches out of order, with labels late, corrected and unknown, see what the oracle sees."""
    events = [event for batch in batches for event in batch]
    assert_close(windows, served(Memory(windows), batches), expected(windows, events), of_kind(events))


@MANY
@given(st.data(), WINDOWS, oracle.in_time())
def test_where_a_stream_is_cut_changes_nothing(
    data: st.DataObject, windows: tuple[Window, ...], events: list[Event]
) -> None:
    """A stream in order of time has the values of training, however it is cut into batches."""
    batches = data.draw(cut(events))
    assert_close(windows, served(Memory(windows), batches), trained(windows, events), of_kind(events))


@MANY
@given(st.data(), WINDOWS, oracle.batches(repeats=False))
def test_merging_changes_nothing(data: st.DataObject, windows: tuple[Window, ...], batches: list[list[Event]]) -> None:
    """Records of one bucket mean the same as one record, whenever they are merged."""
    plain, merging = Memory(windows), Memory(windows)
    for batch in batches:
        assert_close(
            windows,
            served(merging, [batch]),
            served(plain, [batch]),
            [t for b in batches for t in of_kind(b)],
        )
        if data.draw(st.booleans()):
            merging.merge()


@MANY
@given(st.randoms(use_true_random=False), WINDOWS, oracle.batches(repeats=False))
def test_the_order_of_records_changes_nothing(
    random: Random, windows: tuple[Window, ...], batches: list[list[Event]]
) -> None:
    """The records of a state may stand in any order."""
    shuffled = served(Memory(windows, lambda state: random.sample(state, len(state))), batches)
    transactions = [each for batch in batches for each in of_kind(batch)]
    assert_close(windows, shuffled, served(Memory(windows), batches), transactions)


@MANY
@given(WINDOWS, oracle.transactions())
def test_the_order_of_a_file_is_that_of_time(windows: tuple[Window, ...], transactions: list[Transaction]) -> None:
    """A table in any order has the values of the same rows in order of time, each at its row."""
    ordered = oracle.together(transactions)
    correct, result = trained(windows, ordered), trained(windows, transactions)
    places = [ordered.index(each) for each in transactions]
    for name, values in correct.items():
        np.testing.assert_array_equal(result[name], [values[place] for place in places])


def test_a_large_table_gives_each_entity_what_it_has_alone() -> None:
    """To the last bit, whether an entity has few rows or more than are evaluated at a time."""
    rng = np.random.default_rng(1)
    rows = 30_000
    cards = np.where(rng.random(rows) < 0.4, 0, rng.integers(1, 60, rows)).astype("U2").astype(object)
    seconds = START + rng.integers(0, 40 * DAY, rows).astype(float)
    numbers = np.where(rng.random(rows) < 0.1, NAN, rng.random(rows) * 1000)
    texts = {CARD: cards, SHOP: cards, CHANNEL: rng.choice(np.array(["a", "b", "c"], object), rows)}
    table = Table({TIME: seconds, **texts, AMOUNT: numbers, FEE: numbers}, np.arange(1, rows + 1))
    kinds = (Aggregate.MEAN, Aggregate.MAX, Aggregate.STD, Aggregate.RATIO)
    windows = [*(one(kind, AMOUNT, hours) for kind in kinds for hours in (24, 500)), one(Aggregate.DISTINCT, CHANNEL)]
    windows += [one(Aggregate.COUNT), one(Aggregate.RISK, delay=48), one(Aggregate.SINCE_LAST)]
    frauds = rng.random(rows) < 0.1
    contract = oracle.contract_of(windows)
    whole = history.with_history(contract, table, frauds)
    for card in ("0", "7", "58"):
        own = np.flatnonzero(cards == card)
        alone = history.with_history(contract, table.take(own), frauds[own])
        for window in windows:
            np.testing.assert_array_equal(whole.columns[window.name][own], alone.columns[window.name], window.name)


@given(st.data(), WINDOWS, st.lists(oracle.transactions(), max_size=1))
def test_columns_by_their_distinct_values_give_the_same(
    data: st.DataObject, windows: tuple[Window, ...], drawn: list[list[Transaction]]
) -> None:
    """Also where some of the values are in no row, or a row has none."""
    table = table_of([each for some in drawn for each in some])
    encoded = {}
    for name in (CARD, SHOP, CHANNEL):
        values, indices = np.unique(np.append(table.columns[name], "unused"), return_inverse=True)
        encoded[name] = DictionaryEncoded(indices[:-1], values)
        if data.draw(st.booleans()):
            values, indices = np.unique(table.columns[name], return_inverse=True)
            encoded[name] = DictionaryEncoded(indices, values)
    contract, frauds = oracle.contract_of(windows), np.zeros(table.rows, np.bool_)
    plain = history.with_history(contract, table, frauds).columns
    other = history.with_history(contract, Table(table.columns, table.row_numbers, encoded), frauds).columns
    for window in windows:
        np.testing.assert_array_equal(plain[window.name], other[window.name])


# What nobody could have known.


@MANY
@given(st.data(), WINDOWS, oracle.in_time())
def test_what_comes_later_changes_nothing(
    data: st.DataObject, windows: tuple[Window, ...], events: list[Event]
) -> None:
    """Whatever arrives after a moment, or does not, the values of before are the same to the last bit."""
    place = data.draw(st.integers(0, len(events)))
    earlier = events[:place]
    assume(not any(math.isnan(each.time) for each in of_kind(earlier)))
    correct, count = trained(windows, earlier), len(of_kind(earlier))
    for name, values in trained(windows, events).items():
        np.testing.assert_array_equal(values[:count], correct[name])


@MANY
@given(st.data(), WINDOWS, oracle.in_time())
def test_a_label_does_not_count_before_its_delay(
    data: st.DataObject, windows: tuple[Window, ...], events: list[Event]
) -> None:
    """Turned around, a label changes no value before its transaction's time plus the delay of labels."""
    rows = of_kind(events)
    assume(rows)
    chosen = data.draw(st.sampled_from(rows))
    fraud, other = Label(chosen.id, True, chosen.time), Label(chosen.id, False, chosen.time)
    one_way, other_way = trained(windows, [*rows, fraud]), trained(windows, [*rows, other])
    for window in windows:
        early = [not each.time >= chosen.time + window.delay for each in rows]
        np.testing.assert_array_equal(
            np.array(one_way[window.name])[early], np.array(other_way[window.name])[early], err_msg=window.name
        )


@MANY
@given(st.data(), WINDOWS, oracle.transactions())
def test_only_what_is_in_the_window_leaves_a_trace(
    data: st.DataObject, windows: tuple[Window, ...], transactions: list[Transaction]
) -> None:
    """Of other entities, and of what has left all windows, no value changes by the last bit."""
    rows = oracle.together(transactions)
    length = plan_of(windows).seconds
    stored = [each for each in rows if each.texts[CARD] in {"a", "b"} or each.texts[SHOP] in {"a", "b"}]
    assume(stored)
    last = data.draw(st.sampled_from(stored))
    assume(not math.isnan(last.time))
    needed = [
        each
        for each in rows[: rows.index(last) + 1]
        if each.time >= last.time - length and any(each.texts[name] == last.texts[name] for name in (CARD, SHOP))
    ]
    everything = trained(windows, rows[: rows.index(last) + 1])
    for name, values in trained(windows, needed).items():
        np.testing.assert_array_equal(values[-1], everything[name][-1], err_msg=name)


# Rows that see nothing.


@MANY
@given(WINDOWS, oracle.transactions(most=1))
def test_a_first_transaction_has_the_neutral_values(
    windows: tuple[Window, ...], transactions: list[Transaction]
) -> None:
    """What sees nothing has the values that a row has while Redis is gone."""
    result = trained(windows, transactions)
    for name, values in plan_of(windows).default_values(oracle.columns_of(transactions), len(transactions)).items():
        np.testing.assert_array_equal(result[name], values)


@pytest.mark.parametrize(
    ("aggregate", "column", "neutral"),
    [
        (Aggregate.COUNT, None, 0.0),
        (Aggregate.SUM, AMOUNT, 0.0),
        (Aggregate.STD, AMOUNT, 0.0),
        (Aggregate.DISTINCT, CHANNEL, 0.0),
        (Aggregate.MEAN, AMOUNT, NAN),
        (Aggregate.MAX, AMOUNT, NAN),
        (Aggregate.RATIO, AMOUNT, 1.0),
        (Aggregate.SINCE_LAST, None, 24.0 * HOUR),
    ],
)
@pytest.mark.parametrize("missing", ["time", "card", "past"])
def test_neutral_values_are_the_documented_ones(
    aggregate: Aggregate, column: str | None, neutral: float, missing: str
) -> None:
    """Without a time, an entity or a past a row has them, though its neighbours see much."""
    odd = {"time": row(NAN), "card": row(5, card=""), "past": row(5, card="new")}[missing]
    rows = [row(0, amount=3.0), row(0, card="", amount=3.0), row(1, amount=4.0), odd]
    np.testing.assert_array_equal(value(one(aggregate, column), rows), neutral)


def test_without_a_past_a_risk_is_none() -> None:
    """A risk over nothing is 0."""
    assert value(one(Aggregate.RISK, delay=1), [row(0)]) == 0.0


def test_a_ratio_of_a_missing_number_is_missing() -> None:
    """Whatever the past, the ratio of nothing is nothing; also while Redis is gone."""
    window, rows = one(Aggregate.RATIO, AMOUNT), [row(0, amount=3.0), row(1, amount=NAN)]
    assert math.isnan(value(window, rows))
    assert math.isnan(plan_of([window]).default_values(oracle.columns_of(rows), 2)[window.name][1])


def test_a_table_without_a_history_comes_back_as_it_is() -> None:
    """A contract without history features costs nothing."""
    table = table_of([row(0)])
    assert history.with_history(oracle.contract_of([]), table, None) is table


def test_no_rows_have_no_values() -> None:
    """An empty table has empty columns for its history."""
    window = one(Aggregate.DISTINCT, CHANNEL)
    assert trained([window, one(Aggregate.MAX, AMOUNT)], [])[window.name] == []


# By hand.


@pytest.mark.parametrize(
    ("window", "correct"),
    [
        (one(Aggregate.COUNT, hours=1), 2.0),
        (one(Aggregate.COUNT, hours=2), 3.0),
        (one(Aggregate.COUNT, hours=3), 4.0),
        (one(Aggregate.COUNT, hours=1, delay=1), 1.0),
        (one(Aggregate.COUNT, hours=2, delay=1), 1.0),
        (one(Aggregate.SUM, AMOUNT, hours=2), 12.0),
        (one(Aggregate.MEAN, AMOUNT, hours=2), 6.0),
        (one(Aggregate.MAX, AMOUNT), 8.0),
        (one(Aggregate.STD, AMOUNT, hours=2), 2.0),
        (one(Aggregate.RATIO, AMOUNT, hours=2), 2.0),
        (one(Aggregate.SINCE_LAST), 1.0),
        (one(Aggregate.SINCE_LAST, hours=1), 1.0),
        (one(Aggregate.DISTINCT, CHANNEL), pytest.approx(2.0, abs=0.05)),
    ],
    ids=lambda each: each.name if isinstance(each, Window) else "",
)
def test_a_day_by_hand(window: Window, correct: float) -> None:
    """At 02:00:02 there were transactions at 00:30, 01:59:59 and 02:00:01 twice, once without an amount."""
    rows = [
        row(1_800, amount=2.0),
        row(7_199, amount=4.0, channel=""),
        row(7_201, amount=8.0, channel="online"),
        row(7_201, amount=NAN, channel="chip"),
        row(7_201, card="b", amount=99.0, channel="other"),
        row(7_202, amount=12.0),
    ]
    assert value(window, rows) == correct


@pytest.mark.parametrize(
    ("confirmed", "correct"),
    [
        (0, [0.25, 0.25, 0.0]),
        (DAY + HOUR - 1, [0.25, 0.25, 0.0]),
        (DAY + HOUR, [0.0, 0.25, 1.0]),
        (DAY + 3 * HOUR, [0.0, 0.0, 0.0]),
    ],
)
def test_a_risk_by_hand(confirmed: float, correct: list[float]) -> None:
    """Of four transactions of one hour one was a fraud; it counts from when it is known, among what the window has."""
    rows = [row(minute * MINUTE, name=str(minute)) for minute in range(4)]
    rows += [row(59 * MINUTE, card="b"), *(row(DAY + hour * HOUR, name=f"n{hour}") for hour in (1, 2, 3))]
    window, label = one(Aggregate.RISK, hours=2, delay=24), Label("1", fraud=True, confirmed=START + confirmed)
    assert trained([window], [*rows, label])[window.name][-3:] == correct


def test_a_risk_is_no_more_than_all() -> None:
    """Late labels may count where there were fewer transactions: a share stays a share."""
    rows = [*(row(0, name=str(each)) for each in range(3)), row(HOUR, name="x"), row(26 * HOUR, name="now")]
    labels = [Label(str(each), fraud=True, confirmed=START + 25 * HOUR) for each in range(3)]
    window = one(Aggregate.RISK, hours=1, delay=24)
    assert trained([window], [*rows, *labels])[window.name][-1] == 1.0


def test_frauds_that_are_not_given_count_as_none() -> None:
    """Without labels a risk is 0."""
    window, table = one(Aggregate.RISK, delay=1), table_of([row(0), row(3 * HOUR)])
    assert history.with_history(oracle.contract_of([window]), table, None).columns[window.name].tolist() == [0, 0]


def test_frauds_without_a_confirmation_are_known_after_the_delay() -> None:
    """Where nothing says when a fraud was confirmed it was within the delay."""
    window, table, frauds = one(Aggregate.RISK, delay=1), table_of([row(0), row(3 * HOUR)]), np.array([True, False])
    for confirmed in (None, np.array([NAN, NAN])):
        result = history.with_history(oracle.contract_of([window]), table, frauds, confirmed).columns[window.name]
        assert result.tolist() == [0, 1]


def test_one_that_arrives_late_sees_no_later_bucket() -> None:
    """It sees what came before it in its own bucket and the earlier ones, whatever their times in that bucket."""
    memory, window = Memory([one(Aggregate.COUNT)]), one(Aggregate.COUNT)
    result = served(memory, [[row(0)], [row(100)], [row(HOUR)], [row(50, name="late")], [row(HOUR + 1)]])
    assert result[window.name] == [0, 1, 2, 2, 4]


def test_no_time_has_passed_since_one_of_later() -> None:
    """Where the last transaction has a later time, the seconds since it are 0 and not negative."""
    window = one(Aggregate.SINCE_LAST)
    assert served(Memory([window]), [[row(100)], [row(50)]])[window.name] == [24 * HOUR, 0]


def test_a_corrected_label_counts_once() -> None:
    """A label that comes twice, is taken back, and comes again, leaves the last word."""
    window = one(Aggregate.RISK, delay=1)
    yes, no = Label("f", True, START + 0.0), Label("f", False, START + 1.0)
    for labels, correct in (([yes, yes], 1.0), ([yes, no], 0.0), ([yes, no, yes], 1.0), ([no], 0.0)):
        batches: list[list[Event]] = [[row(0, name="f")], [*labels], [row(3 * HOUR, name="now")]]
        assert served(Memory([window]), batches)[window.name][-1] == correct


@pytest.mark.parametrize(("distinct", "off"), [(1, 0.02), (5, 0.1), (20, 0.25), (60, 0.25)])
def test_distinct_is_near_the_truth(distinct: int, off: float) -> None:
    """On average over many entities the estimate is within a few parts in a hundred."""
    window = one(Aggregate.DISTINCT, CHANNEL)
    rows = [row(0, f"c{card}", channel=f"{card}-{each}") for card in range(100) for each in range(distinct)]
    rows += [row(1, f"c{card}") for card in range(100)]
    mean = np.mean(trained([window], rows)[window.name][-100:])
    assert abs(mean - distinct) <= off * distinct / 5 + 0.02


# Numbers.


@given(st.floats(-3.4e38, 3.4e38), st.integers(2, 60))
def test_equal_numbers_have_no_spread(number: float, count: int) -> None:
    """The standard deviation of equal numbers is exactly 0."""
    window = one(Aggregate.STD, AMOUNT)
    assert value(window, [row(second, amount=number) for second in range(count)]) == 0.0


@pytest.mark.parametrize("past", [1e12, 3.4e38, -1e15])
@pytest.mark.parametrize("aggregate", [Aggregate.SUM, Aggregate.MEAN, Aggregate.STD, Aggregate.RATIO])
def test_a_large_amount_is_forgotten_with_its_window(aggregate: Aggregate, past: float) -> None:
    """An amount that has left the window, however large, leaves no trace in the values of the same entity."""
    window = one(aggregate, AMOUNT)
    rows = [row(50 * HOUR + second, amount=amount) for second, amount in enumerate([10.07, 11.3, 12.99, 10.07])]
    assert value(window, [row(0, amount=past), *rows]) == value(window, rows)


def test_a_long_past_is_forgotten_with_its_window() -> None:
    """A spread of cents is the same for a busy entity as for one that serving has trimmed."""
    random = np.random.default_rng(3)
    past = [
        row(minute * MINUTE, amount=amount) for minute, amount in enumerate(random.lognormal(6, 1.5, 3_000).round(2))
    ]
    rows = [row(100 * DAY + second, amount=amount) for second, amount in enumerate([3.1, 3.1, 3.1, 3.11, 3.1])]
    window = one(Aggregate.STD, AMOUNT)
    assert value(window, [*past, *rows]) == pytest.approx(value(window, rows), rel=1e-9)
    assert value(window, rows) == pytest.approx(math.sqrt(3) / 400)


@MANY
@given(st.lists(st.floats(-3.4028234663852886e38, 3.4028234663852886e38) | st.just(NAN), min_size=1, max_size=30))
def test_no_number_breaks_the_matrix(amounts: list[float]) -> None:
    """Whatever numbers a contract accepts, history features are finite or missing as float32, without a warning."""
    windows = [one(aggregate, AMOUNT) for aggregate in (Aggregate.SUM, Aggregate.MEAN, Aggregate.MAX, Aggregate.STD)]
    contract = oracle.contract_of([*windows, one(Aggregate.RATIO, AMOUNT)])
    table = table_of([row(second, amount=amount) for second, amount in enumerate(amounts)])
    with warnings.catch_warnings(action="error"):
        matrix = to_matrix(contract, history.with_history(contract, table, None))
    assert not np.isinf(matrix).any()


@MANY
@given(st.lists(oracle.times() | st.floats(), min_size=1, max_size=20))
def test_no_time_breaks_the_matrix(seconds: list[float]) -> None:
    """Whatever the times, infinite ones too, history features are numbers, without a warning."""
    windows = [one(Aggregate.SINCE_LAST), one(Aggregate.COUNT), one(Aggregate.RISK, delay=1)]
    contract, frauds = oracle.contract_of(windows), np.ones(len(seconds), dtype=np.bool_)
    table = table_of([replace(row(0), time=each) for each in seconds])
    for confirmed in (None, np.array(seconds[::-1])):
        with warnings.catch_warnings(action="error"):
            matrix = to_matrix(contract, history.with_history(contract, table, frauds, confirmed))
        assert np.isfinite(matrix[:, 1:]).all()


def test_the_sum_of_many_is_the_sum() -> None:
    """A hundred thousand amounts of one entity add up to the last cent."""
    window, amounts = one(Aggregate.SUM, AMOUNT), [0.1] * 100_000
    result = trained([window], [row(0, amount=amount, name="n") for amount in amounts])[window.name]
    assert abs(result[-1] - math.fsum(amounts[:-1])) < 1e-6


# Plans and layouts.


def contract_with(*windows: Window, columns: tuple[Column, ...] = oracle.COLUMNS, name: str = "other") -> Contract:
    """A contract of these columns with this history."""
    return Contract(name, columns, (Feature("amount", FeatureKind.NUMBER, AMOUNT),), windows)


def test_a_plan_has_the_windows_of_all_contracts() -> None:
    """The first contract's windows come first, each once."""
    shared, own, other_values = one(Aggregate.COUNT), one(Aggregate.SUM, AMOUNT), one(Aggregate.MAX, AMOUNT)
    plan = Plan.of([contract_with(own, shared), contract_with(other_values, shared)])
    assert plan is not None
    assert plan.windows == (own, shared, other_values)
    assert plan.names == (own.name, shared.name, other_values.name)


def test_what_the_first_contract_cannot_read_is_left_out() -> None:
    """A window over a column that the first contract has not, or has as another kind, is not in the plan."""
    fewer = tuple(column for column in oracle.COLUMNS if column.name != FEE)
    other = tuple(Column(FEE, Kind.CATEGORY) if column.name == FEE else column for column in oracle.COLUMNS)
    without = tuple(column for column in oracle.COLUMNS if column.name != SHOP)
    count, fees = one(Aggregate.COUNT), one(Aggregate.SUM, FEE)
    shops = replace(count, entity=SHOP)
    for columns in (fewer, other):
        assert Plan.of([contract_with(count, columns=columns), contract_with(fees)]) == Plan((count,), TIME)
    assert Plan.of([contract_with(count, columns=without), contract_with(shops)]) == Plan((count,), TIME)


def test_another_time_is_left_out() -> None:
    """A contract that measures another column's time, or none, adds no window."""
    since = Column("since", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS)
    count = one(Aggregate.COUNT)
    second = contract_with(one(Aggregate.SINCE_LAST), columns=(since, *oracle.COLUMNS))
    timeless = contract_with(columns=tuple(each for each in oracle.COLUMNS if each.kind is not Kind.TIMESTAMP))
    assert Plan.of([contract_with(count), second, timeless]) == Plan((count,), TIME)
    assert Plan.of([timeless, contract_with(count)]) is None


def test_without_a_history_there_is_no_plan() -> None:
    """Contracts without history features have none; one with some is enough."""
    assert Plan.of([contract_with(), contract_with()]) is None
    assert Plan.of([contract_with(), contract_with(one(Aggregate.COUNT))]) is not None


def test_plans_of_other_values_have_other_digests() -> None:
    """Windows, their order and the column of time are all in the digest."""
    a, b = one(Aggregate.COUNT), one(Aggregate.SINCE_LAST)
    plans = [Plan((a,), TIME), Plan((b,), TIME), Plan((a, b), TIME), Plan((b, a), TIME), Plan((a,), "since")]
    assert len({plan.digest for plan in plans}) == len(plans)
    assert Plan((a, b), TIME).digest == Plan((a, b), TIME).digest


def test_names_with_line_ends_do_not_make_plans_alike() -> None:
    """Two windows have another digest than one whose entity is named like both."""
    a, b = one(Aggregate.COUNT), replace(one(Aggregate.COUNT), entity="b")
    assert Plan((a, b), TIME).digest != Plan((replace(b, entity=f"{a.name}\nb"),), TIME).digest


def test_layouts_that_hold_other_things_have_other_digests() -> None:
    """Every part of a layout is in its digest."""
    base = RecordLayout(CARD, TIME, HOUR)
    layouts = [
        base,
        replace(base, entity=SHOP),
        replace(base, time="since"),
        replace(base, bucket=DAY),
        replace(base, sums=(AMOUNT,)),
        replace(base, sums=(AMOUNT,), squares=(AMOUNT,)),
        replace(base, sums=(AMOUNT,), largest=(AMOUNT,)),
        replace(base, sums=(FEE,)),
        replace(base, sets=(AMOUNT,)),
        replace(base, last=True),
        replace(base, delay=DAY),
        replace(base, delay=2 * DAY),
    ]
    assert len({layout.digest for layout in layouts}) == len(layouts)


def test_windows_of_other_lengths_share_their_state() -> None:
    """Versions that differ in how far they look back, and in delays without frauds, read the same records."""
    first = plan_of([one(Aggregate.COUNT), one(Aggregate.SUM, AMOUNT, hours=2)])
    second = plan_of([one(Aggregate.COUNT, delay=3), one(Aggregate.MEAN, AMOUNT, hours=720)])
    assert first.layouts == second.layouts
    assert [layout.digest for layout in first.layouts] == [layout.digest for layout in second.layouts]


def test_each_entity_and_bucket_has_a_layout_of_its_own() -> None:
    """Hours and days of two entities are four layouts, which hold what their windows need."""
    plan = plan_of([
        one(Aggregate.COUNT),
        replace(one(Aggregate.MAX, AMOUNT), bucket=DAY, seconds=DAY),
        replace(one(Aggregate.STD, AMOUNT), entity=SHOP),
        Window(Aggregate.DISTINCT, SHOP, CARD, DAY, DAY),
        Window(Aggregate.RISK, SHOP, None, DAY, DAY, DAY),
    ])  # fmt: skip
    assert plan.layouts == (
        RecordLayout(CARD, TIME, HOUR),
        RecordLayout(CARD, TIME, DAY, sums=(AMOUNT,), largest=(AMOUNT,)),
        RecordLayout(SHOP, TIME, HOUR, sums=(AMOUNT,), squares=(AMOUNT,)),
        RecordLayout(SHOP, TIME, DAY, sets=(CARD,), delay=DAY),
    )


@pytest.mark.parametrize("delays", [(1, 2), (2, 1)])
def test_versions_with_other_delays_of_labels_do_not_mix(delays: tuple[int, int]) -> None:
    """Of two versions scored side by side each risk is what it would be for its version alone."""
    first, second = (one(Aggregate.RISK, hours=1, delay=delay) for delay in delays)
    plan = Plan.of([contract_with(first), contract_with(second)])
    assert plan is not None
    alone = {window: plan_of([window]).layouts[0].delay for window in (first, second)}
    together = {window: layout.delay for layout, windows in plan.parts for window in windows}
    assert together == alone


def test_a_trial_beside_it_changes_no_state_of_a_version() -> None:
    """What a version keeps is the same alone and beside another that needs more of the same entity and bucket."""
    live, trial = contract_with(one(Aggregate.COUNT)), contract_with(one(Aggregate.COUNT), one(Aggregate.STD, AMOUNT))
    both = [Plan.of([live, trial]), Plan.of([trial, live])]
    for alone in (Plan.of([live]), Plan.of([trial])):
        assert all(plan and alone and set(alone.layouts) <= set(plan.layouts) for plan in both)


@given(WINDOWS, WINDOWS, oracle.transactions())
def test_windows_of_two_versions_have_the_values_of_each_alone(
    first: tuple[Window, ...], second: tuple[Window, ...], transactions: list[Transaction]
) -> None:
    """Evaluated together, each window is computed once, and is what it is by itself."""
    plan = Plan.of([oracle.contract_of(first), oracle.contract_of(second)])
    assert plan is not None
    assert sorted(window.name for _, windows in plan.parts for window in windows) == sorted(plan.names)
    memory = Memory(first)
    memory.plan = plan
    together = served(memory, [oracle.together(transactions)])
    for windows in (first, second):
        for name, values in trained(windows, oracle.together(transactions)).items():
            np.testing.assert_array_equal(together[name], values, err_msg=name)


def test_a_plan_reaches_as_far_back_as_its_longest_window() -> None:
    """A transaction of that age may be forgotten: no window sees it."""
    windows = [one(Aggregate.COUNT, hours=3), one(Aggregate.RISK, hours=2, delay=4)]
    length = plan_of(windows).seconds
    assert length == 7 * HOUR
    result = trained(windows, [row(0), Label(row(0).id, True, START), row(length)])
    assert [values[-1] for values in result.values()] == [0, 0]


def test_merging_nothing_gives_nothing() -> None:
    """No records are merged to no records."""
    layout = RecordLayout(CARD, TIME, HOUR, sums=(AMOUNT,), largest=(AMOUNT,), sets=(CHANNEL,), last=True, delay=DAY)
    result, records = layout.merged(np.empty(0, dtype=np.int64), layout.identity_records(0))
    assert (len(result), len(records)) == (0, 0)


@given(st.lists(st.integers(-3, 3), min_size=1))
def test_merged_records_are_ascending_and_complete(buckets: list[int]) -> None:
    """One record a bucket, in ascending order, that counts all."""
    layout = RecordLayout(CARD, TIME, HOUR)
    keys = np.array(buckets, dtype=np.int64)
    numbers: dict[str, NDArray[Any]] = {}
    result, records = layout.merged(keys, layout.records(numbers, keys, keys.astype(np.float64)))
    assert result.tolist() == sorted(set(buckets)) == records["bucket"].tolist()
    assert records["count"].tolist() == [buckets.count(bucket) for bucket in sorted(set(buckets))]


def test_bytes_are_read_back_as_records() -> None:
    """What a state holds are the bytes of its records, the same on every machine."""
    layout = RecordLayout(CARD, TIME, HOUR, sums=(AMOUNT,), last=True)
    assert [layout.dtype[name].str for name in layout.dtype.names or ()] == ["<i4", "<i4", "<f8", "<i4", "<f8"]
    assert layout.dtype.itemsize == 28

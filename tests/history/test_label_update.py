"""Labels against a real Valkey: what they change, and that nothing but the last one of a transaction remains."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from contract.labels import FRAUD, GENUINE, UNLABELLED
from contract.table import Table
from contract.windows import DAY, HOUR, Aggregate, Window
from history.known_ids import FIND_TRANSACTIONS, KNOWN, LABEL, SLOT_SECONDS, TRANSACTION_HEAD, record_of
from history.label_update import (
    COUNTS,
    LABEL_SECONDS,
    STORED_LABEL,
    UPDATE_LABELS,
    ConfusionCounts,
    LabelUpdate,
    confusion_by_version,
    label_fields,
    month_keys,
    parse_stored_labels,
)
from history.layout import ENTITY_BYTES
from history.plan import Plan
from history.redis_schema import (
    ANSWER,
    ANSWERS,
    ENTER,
    FLAGGED,
    PASSED,
    STATE,
    STORE_VALUES,
)
from history.session import EXPIRY_MARGIN, BatchSession, HistoryOptions
from history.short_records import decode_records
from history.transaction_blocks import STATE_KEY_BYTES
from tests import valkey
from tests.history import oracle
from tests.history.oracle import Label, Transaction
from tests.keys import KEY

NOW = 1.7e9 - 1.7e9 % DAY
SHOP_RISK = Window(Aggregate.RISK, "shop", None, 7 * DAY, HOUR, 7 * DAY)
CARD_RISK = Window(Aggregate.RISK, "card", None, 30 * DAY, DAY, 2 * DAY)
COUNT = Window(Aggregate.COUNT, "card", None, DAY, HOUR)
KNOWN_SECONDS = 1_000


def plan_of(*windows: Window) -> Plan:
    """A plan of these windows."""
    plan = Plan.of([oracle.contract_of(windows)])
    assert plan
    return plan


PLAN = plan_of(SHOP_RISK, CARD_RISK, COUNT)


class Store:
    """A Valkey, and the scripts against it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def run(self, script: str, arguments: Sequence[Any]) -> Any:  # noqa: ANN401 - a script's own
        return self.redis.eval(script, 0, *arguments)

    def enter(self, plan: Plan, rows: Sequence[Transaction]) -> dict[str, Any]:
        """Transactions arrive together; gives their history."""
        columns = oracle.columns_of(rows)
        table = Table(columns, np.arange(len(rows)))
        options = HistoryOptions(True, KNOWN_SECONDS, KNOWN_SECONDS, KEY)
        session = BatchSession(plan, table, [row.id for row in rows], options, time.time())
        while calls := session.entry_calls():
            session.receive_entries([self.run(ENTER, each) for each in calls])
        values = session.values()
        if arguments := session.store_arguments(values):
            self.run(STORE_VALUES, arguments)
        return values

    def slot(self) -> bytes:
        """The only slot of known ids."""
        (slot,) = cast("list[bytes]", self.redis.keys(KNOWN + b"*"))
        return slot

    def answer(self, identity: str, answer: int, version: int) -> None:
        """What was answered to a transaction."""
        record = record_of(self.run(FIND_TRANSACTIONS, [KEY.transactions.digest(identity)])[0])
        (head,) = np.frombuffer(record, TRANSACTION_HEAD, 1)
        recorded = np.zeros(int(head["index"]) + 1, ANSWER)
        recorded[-1] = answer, version
        self.redis.set(ANSWERS + head["block"].tobytes(), recorded.tobytes())

    def read(self, update: LabelUpdate, *, early: bool = False) -> None:
        """The reading half of a round; with `early` what was confirmed before its transaction is left out."""
        update.receive_transactions(self.run(FIND_TRANSACTIONS, update.find_arguments()))
        if early:
            update.leave_out_early()
        update.receive_stored_labels(
            [cast("bytes | None", self.redis.hget(*each)) for each in update.stored_label_reads()]  # type: ignore[arg-type]
        )

    def write(self, update: LabelUpdate) -> None:
        """The writing half."""
        if arguments := update.arguments():
            update.receive_conflicts(self.run(UPDATE_LABELS, arguments))

    def label(self, plan: Plan, *labels: Label, now: float = NOW) -> LabelUpdate:
        """Labels of distinct transactions."""
        update = update_of(plan, *labels, now=now)
        while update.find_arguments():
            self.read(update)
            self.write(update)
        return update

    def frauds(self, plan: Plan) -> dict[tuple[bytes, int], int]:
        """How many frauds each state has in each bucket, where it has any."""
        result: Counter[tuple[bytes, int]] = Counter()
        for layout in (each for each in plan.layouts if each.delay is not None):
            for key in (each for each in self.states() if each.startswith(STATE + layout.digest)):
                state = cast("bytes", self.redis.get(key))
                for record in decode_records(layout, np.array([len(state)]), state)[0].records:
                    result[key.removeprefix(STATE), int(record["bucket"])] += int(record["frauds"])
        return {place: count for place, count in result.items() if count}

    def states(self) -> list[bytes]:
        """The keys of all states."""
        return list(self.redis.scan_iter(STATE + b"*"))

    def counts(self) -> dict[str, int]:
        """What is counted, where it is not nought."""
        fields = cast("dict[bytes, bytes]", self.redis.hgetall(COUNTS))  # type: ignore[arg-type]
        return {field.decode(): int(count) for field, count in fields.items() if int(count)}

    def stored(self, rows: Sequence[Transaction]) -> dict[str, tuple[int, float]]:
        """What is kept of these transactions, where anything is."""
        digests = KEY.transactions.digests(row.id for row in rows)
        result = {}
        for month, (places, fields) in label_fields(digests, np.array([row.time for row in rows])).items():
            labels, confirmed = parse_stored_labels(cast("list[bytes | None]", self.redis.hmget(month, fields)))  # type: ignore[arg-type]
            for place, label, since in zip(places.tolist(), labels.tolist(), confirmed.tolist(), strict=True):
                result[rows[place].id] = label, since
        return {name: value for name, value in result.items() if value[0] != UNLABELLED}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Valkey of this module's own."""
    with valkey.running(tmp_path_factory.mktemp("valkey")) as running, Redis.from_url(running.url) as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> Store:
    """An empty one."""
    redis.flushall()
    return Store(redis)


def update_of(plan: Plan, *labels: Label, now: float = NOW) -> LabelUpdate:
    """Labels of distinct transactions; a confirmation of NaN is none."""
    digests = KEY.transactions.digests(label.id for label in labels)
    frauds = np.array([label.fraud for label in labels])
    return LabelUpdate(plan, digests, frauds, np.array([label.confirmed for label in labels]), now)


def paid(identity: str, seconds: float = NOW, card: str = "a", shop: str = "s") -> Transaction:
    """A transaction."""
    return Transaction(identity, seconds, {"card": card, "shop": shop, "channel": ""}, {"amount": 1.0, "fee": 0.0})


def expected_frauds(plan: Plan, rows: Sequence[Transaction], last: Mapping[str, Label]) -> dict[tuple[bytes, int], int]:
    """The frauds of states, counted from scratch: at their own times, or the delay of labels before they were known."""
    result: Counter[tuple[bytes, int]] = Counter()
    for layout in (each for each in plan.layouts if each.delay is not None):
        for row in (each for each in rows if each.id in last and last[each.id].fraud and each.texts[layout.entity]):
            counts = max(row.time, last[row.id].confirmed - (layout.delay or 0))
            entity = row.texts[layout.entity].encode()
            digest = KEY.keyed(hashlib.blake2b(entity, digest_size=ENTITY_BYTES, person=b"entity").digest())
            result[layout.digest + digest, int(counts // layout.bucket)] += 1
    return dict(result)


def test_the_scripts_know_where_things_lie() -> None:
    """The parts of a record have the places and sizes that the scripts write out."""
    assert TRANSACTION_HEAD.fields
    names = ("label", "confirmed", "seconds", "plan", "block", "index", "width")
    assert [TRANSACTION_HEAD.fields[name][1] for name in names] == [1, 2, 10, 18, 26, 38, 42]
    assert (LABEL.itemsize, ANSWER.itemsize, STORED_LABEL.itemsize, STATE_KEY_BYTES) == (9, 5, 25, 24)
    assert (UNLABELLED, GENUINE, FRAUD, PASSED, FLAGGED) == (0, 1, 2, 0, 1)


SAID = st.tuples(
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from([-DAY, 0, HOUR, 2 * DAY, 2 * DAY + HOUR, 7 * DAY + HOUR, 8 * DAY, 60 * DAY]),
)


@settings(max_examples=100)
@given(st.lists(st.lists(SAID, min_size=1, max_size=4, unique_by=lambda each: each[0]), max_size=8), st.data())
def test_only_the_last_label_of_each_transaction_remains(
    redis: Redis, output: list[list[tuple[int, bool, int]]], data: st.DataObject
) -> None:
    """Whatever was said before: frauds, what is kept, and what is counted where an answer was noted, are the last's."""
    redis.flushall()
    store = Store(redis)
    rows = [paid(str(place), NOW + place * 1_800, "ab"[place % 2], ["s", "t", ""][place % 3]) for place in range(6)]
    for row in rows:
        store.enter(PLAN, [row])
    answers = {str(place): data.draw(st.sampled_from([PASSED, FLAGGED])) for place in range(6)}
    recorded = data.draw(st.sets(st.sampled_from(sorted(answers))))
    for identity in recorded:
        store.answer(identity, answers[identity], 7)
    last: dict[str, Label] = {}
    for block in output:
        labels = [Label(str(place), fraud, NOW + later) for place, fraud, later in block]
        store.label(PLAN, *labels)
        last |= {label.id: label for label in labels}
    assert store.frauds(PLAN) == expected_frauds(PLAN, rows, last)
    assert store.stored(rows) == {each.id: (FRAUD if each.fraud else GENUINE, each.confirmed) for each in last.values()}
    names = {PASSED: "passed", FLAGGED: "flagged"}
    counted = [each for each in last.values() if each.id in recorded]
    expected = Counter(f"7:{names[answers[each.id]]}:{'fraud' if each.fraud else 'genuine'}" for each in counted)
    assert store.counts() == expected


SHORT = (
    Window(Aggregate.RISK, "shop", None, 3 * HOUR, HOUR, 2 * HOUR),
    Window(Aggregate.RISK, "card", None, 8 * HOUR, HOUR, HOUR),
    Window(Aggregate.RISK, "card", None, 2 * DAY, DAY, DAY),
)
"""Risks that a stream of a few hours and days can see."""


@st.composite
def streams(draw: st.DrawFn) -> list[oracle.Event]:
    """Transactions of two cards and shops, hours apart, each with labels of earlier ones before it."""
    events, hour = list[oracle.Event](), 0
    for place in range(draw(st.integers(2, 12))):
        hour += draw(st.sampled_from([0, 1, 1, 2, 3, 30]))
        for _ in range(draw(st.integers(0, 2)) if place else 0):
            identity, late = str(draw(st.integers(0, place - 1))), draw(st.integers(-3, 3))
            events.append(Label(identity, draw(st.sampled_from([True, True, False])), NOW + (hour + late) * HOUR))
        card, shop = draw(st.sampled_from("ab")), draw(st.sampled_from("st"))
        events.append(paid(str(place), NOW + (hour - draw(st.sampled_from([0, 0, 1]))) * HOUR, card, shop))
    return events


@given(streams())
def test_histories_after_labels_are_what_they_mean(redis: Redis, events: list[oracle.Event]) -> None:
    """Each transaction of a stream sees the frauds that it should: those that are known, corrected ones, late ones."""
    assert counts_of(Store(redis), SHORT, events) == pytest.approx(meant(SHORT, events), abs=1e-12)


@given(oracle.windows(), oracle.batches())
def test_histories_of_any_stream_with_labels_are_what_they_mean(
    redis: Redis, windows: tuple[Window, ...], batches: list[list[oracle.Event]]
) -> None:
    """Whatever the windows, with times of no world, repeats, and labels of transactions that never came."""
    events = [event for batch in batches for event in batch]
    assert counts_of(Store(redis), windows, events) == pytest.approx(meant(windows, events), abs=1e-12)


def risks(windows: Sequence[Window]) -> list[str]:
    """The names of those that labels change."""
    return [window.name for window in windows if window.aggregate is Aggregate.RISK]


def meant(windows: Sequence[Window], events: Sequence[oracle.Event]) -> list[float]:
    """The risks of each transaction, by the oracle."""
    return [each[name] for each in oracle.values(windows, events) for name in risks(windows)]


def counts_of(store: Store, windows: Sequence[Window], events: Sequence[oracle.Event]) -> list[float]:
    """The risks of each transaction, when all arrive one after the other."""
    store.redis.flushall()
    plan, result = plan_of(*windows), list[float]()
    for event in events:
        if isinstance(event, Label):
            store.label(plan, event)
        else:
            observed = store.enter(plan, [event])
            result += [float(observed[name][0]) for name in risks(windows)]
    return result


def test_the_same_label_again_changes_nothing(store: Store) -> None:
    """Nor does one that does not say when: the first moment stands, byte for byte."""
    store.enter(PLAN, [paid("1"), paid("2")])
    store.label(PLAN, Label("1", True, NOW), Label("2", False, float("nan")))
    before = {key: store.redis.dump(key) for key in store.redis.scan_iter()}
    repeat = store.label(PLAN, Label("1", True, float("nan")), Label("2", False, float("nan")), now=NOW + DAY)
    assert not repeat.changed.any()
    assert {key: store.redis.dump(key) for key in store.redis.scan_iter()} == before


def test_a_label_without_a_moment_is_of_now(store: Store) -> None:
    """It counts where one that was confirmed now does."""
    row = paid("1", NOW - 20 * DAY)
    store.enter(PLAN, [row])
    store.label(PLAN, Label("1", True, float("nan")), now=NOW)
    assert store.frauds(PLAN) == expected_frauds(PLAN, [row], {"1": Label("1", True, NOW)})


def test_a_label_before_its_transaction_can_be_left_out(store: Store) -> None:
    """It is told by `early`; the others are taken, and a day alone is all of that day."""
    noon = NOW // DAY * DAY + DAY / 2
    store.enter(PLAN, [paid(str(place), noon) for place in range(4)])
    moments = [noon - 1, noon, noon - DAY / 2, float("nan")]
    update = update_of(PLAN, *(Label(str(place), True, moment) for place, moment in enumerate(moments)))
    store.read(update, early=True)
    store.write(update)
    assert update.early.tolist() == [True, False, False, False]
    assert update.changed.tolist() == [False, True, True, True]
    assert update.find_arguments() == ()


def test_one_label_through_two_gateways_at_once_counts_once(store: Store) -> None:
    """Both have looked before one writes: the other finds the label there."""
    row = paid("1")
    store.enter(PLAN, [row])
    one, other = (update_of(PLAN, Label("1", True, NOW)) for _ in range(2))
    for update in (one, other):
        store.read(update)
    for update in (one, other):
        store.write(update)
    store.read(other)
    assert (one.changed[0], other.changed[0], other.find_arguments()) == (True, False, ())
    assert store.frauds(PLAN) == expected_frauds(PLAN, [row], {"1": Label("1", True, NOW)})


def test_what_is_not_known_is_said_and_leaves_no_trace(store: Store) -> None:
    """A transaction that never came, and one that is forgotten between look and change."""
    store.enter(PLAN, [paid("1")])
    update = update_of(PLAN, Label("1", True, NOW), Label("2", True, NOW))
    store.read(update)
    store.redis.hdel(store.slot(), KEY.transactions.digest("1"))  # type: ignore[arg-type]
    keys = set(store.redis.scan_iter())
    store.write(update)
    store.read(update)
    assert update.unknown.tolist() == [True, True]
    assert not update.changed.any()
    assert set(store.redis.scan_iter()) == keys


def test_a_state_outside_the_plan_is_left_alone(store: Store) -> None:
    """What was not added there when the label came is not taken back when the state is in the plan again."""
    store.enter(PLAN, [paid("1"), paid("2")])
    store.label(PLAN, Label("2", True, NOW))
    both = store.frauds(PLAN)
    store.label(plan_of(SHOP_RISK), Label("1", True, NOW))
    store.label(PLAN, Label("1", False, NOW))
    assert store.frauds(PLAN) == both


def test_a_fraud_of_past_data_is_taken_back_everywhere(store: Store) -> None:
    """Of one that was loaded with its label nothing is kept: it counts in every state."""
    row = paid("1")
    store.enter(PLAN, [row])
    store.label(PLAN, Label("1", True, NOW))
    for month in month_keys(np.array([NOW])):
        store.redis.delete(month)
    store.label(PLAN, Label("1", False, NOW))
    assert store.frauds(PLAN) == {}


def test_what_a_label_touches_lives_as_long_as_it_can_matter(store: Store) -> None:
    """States outlive the longest window anew, what is kept its year, and the record no longer than before."""
    store.enter(PLAN, [paid("1")])
    for key in store.states():
        store.redis.expire(key, 10)
    store.label(PLAN, Label("1", True, NOW))
    risks = [layout.digest for layout in PLAN.layouts if layout.delay is not None]
    lives = [cast("int", store.redis.ttl(key)) for key in store.states() if key[8:16] in risks]
    assert [round(life, -2) for life in lives] == [round(PLAN.seconds + EXPIRY_MARGIN, -2)] * 2
    (month,) = month_keys(np.array([NOW]))
    assert LABEL_SECONDS - 10 < cast("int", store.redis.ttl(month)) <= LABEL_SECONDS
    assert 0 < cast("int", store.redis.ttl(store.slot())) <= KNOWN_SECONDS + SLOT_SECONDS


def test_keys_of_labels_name_nobody(store: Store) -> None:
    """Digests, months and counts: no id is in any key, field or value."""
    identity = "4111-1111-1111-1111"
    store.enter(PLAN, [paid(identity)])
    store.answer(identity, FLAGGED, 3)
    store.label(PLAN, Label(identity, True, NOW))
    assert not [key for key in store.redis.scan_iter() if identity.encode() in key + (store.redis.dump(key) or b"")]


@pytest.mark.parametrize(
    ("seconds", "month"),
    [
        (0.0, b"197001"),
        (NOW, b"202311"),
        (-1.0, b"196912"),
        (float("nan"), b"000000"),
        (1e30, b"000000"),
        (float("-inf"), b"000000"),
    ],
)
def test_a_label_is_stored_by_the_month_of_its_transaction(seconds: float, month: bytes) -> None:
    """A time of no world has a month of its own."""
    assert month_keys(np.array([seconds])) == [b"fraud:labels:" + month]


def test_judged_adds_up_by_version() -> None:
    """Precision is of what was flagged, session of what is fraud; neither where there is none."""
    fields = {b"7:flagged:fraud": b"3", b"7:flagged:genuine": b"1", b"7:passed:fraud": b"2", b"3:passed:genuine": b"5"}
    result = confusion_by_version(fields)
    assert result == {3: ConfusionCounts(passed_genuine=5), 7: ConfusionCounts(3, 1, 2)}
    assert (result[7].precision, result[7].recall) == (0.75, 0.6)
    assert (result[3].precision, result[3].recall) == (None, None)


def test_a_label_that_was_faster_than_the_answer_counts_when_it_is_corrected(store: Store) -> None:
    """What was never counted is not taken back."""
    store.enter(PLAN, [paid("0"), paid("1")])
    store.label(PLAN, Label("1", True, NOW))
    assert store.counts() == {}
    store.answer("1", FLAGGED, 2)
    store.label(PLAN, Label("1", False, NOW))
    assert store.counts() == {"2:flagged:genuine": 1}
    store.label(PLAN, Label("1", True, NOW))
    assert store.counts() == {"2:flagged:fraud": 1}

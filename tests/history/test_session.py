"""The two evaluations give the same numbers: random streams through a real Valkey, and the oracle."""

import math
import random
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from contract.windows import DAY, HOUR, Aggregate, Window
from gateway.history.pipeline import BatchPipeline
from history import evaluation as history
from history import session as sessions
from history.journal import APPLY, RECOVER, REGISTER
from history.known_ids import SLOT_SECONDS
from history.redis_schema import ENTER, IN_FLIGHT_SECONDS, STORE_VALUES
from tests.history import oracle
from tests.history.oracle import Event, Label, Transaction
from tests.history.served import KNOWN_SECONDS, Served
from tests.history.test_evaluation import (
    START,
    Values,
    assert_close,
    expected,
    of_kind,
    plan_of,
    row,
    table_of,
)
from tests.keys import KEY

STREAMS = settings(max_examples=1_000)
COUNT = Window(Aggregate.COUNT, "card", None, 30 * DAY, HOUR)
SUM = Window(Aggregate.SUM, "card", "amount", DAY, HOUR)


def served(windows: tuple[Window, ...], batches: list[list[Event]], redis: Redis) -> Values:
    """The values that serving gives, with repeats."""
    redis.flushall()
    serving = Served(plan_of(windows), redis)
    result: Values = {name: [] for name in serving.plan.names}
    for batch in batches:
        for event in batch:
            if isinstance(event, Label):
                serving.label(event)
        if transactions := of_kind(batch):
            for name, values in serving.enter(transactions).items():
                result[name] += values
    return result


@STREAMS
@given(windows=oracle.windows(), batches=oracle.batches())
def test_serving_gives_what_the_definitions_say(
    server: Redis, windows: tuple[Window, ...], batches: list[list[Event]]
) -> None:
    """Ties, gaps, repeats, new entities, late and corrected labels, any order of arrival: 1,000 streams."""
    events = [event for batch in batches for event in batch]
    result = served(windows, batches, server)
    assert_close(windows, result, expected(windows, events), of_kind(events))


@settings(max_examples=200)
@given(windows=oracle.windows(), batches=oracle.batches())
def test_many_blocks_and_merged_states_are_no_other(
    server: Redis, windows: tuple[Window, ...], batches: list[list[Event]]
) -> None:
    """Where a file enters in blocks of two rows, and each state is merged as soon as it can be."""
    events = [event for batch in batches for event in batch]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "SMALL_BATCH_ROWS": 2,
            "CLAIM_ROWS": 2,
            "APPLY_STATES": 3,
            "READ_STATES": 3,
            "MERGE_MIN_RECORDS": 2,
            "MERGE_CHECK_GROWTH": 1.01,
            "MERGE_MAX_SHARE": 1.0,
        }.items():
            patch.setattr(sessions, name, value)
        result = served(windows, batches, server)
    assert_close(windows, result, expected(windows, events), of_kind(events))


@settings(max_examples=200)
@given(windows=oracle.windows(), events=oracle.in_time())
def test_training_and_serving_give_the_same_numbers(
    server: Redis, windows: tuple[Window, ...], events: list[Event]
) -> None:
    """One table at once, and one transaction after the other."""
    rows, labels = of_kind(events), {event.id: event for event in events if isinstance(event, Label)}
    frauds = np.array([each.id in labels and labels[each.id].fraud for each in rows], dtype=np.bool_)
    confirmed = np.array([labels[each.id].confirmed if each.id in labels else math.nan for each in rows])
    table = history.with_history(oracle.contract_of(windows), table_of(rows), frauds, confirmed)
    trained = {window.name: table.columns[window.name].tolist() for window in windows}
    assert_close(windows, served(windows, [[event] for event in events], server), trained, rows)


@settings(max_examples=100)
@given(windows=oracle.windows(), batches=oracle.batches(repeats=False), data=st.data())
def test_looking_changes_nothing(
    server: Redis, windows: tuple[Window, ...], batches: list[list[Event]], data: st.DataObject
) -> None:
    """A batch that is not recorded sees what it would see, and leaves every key as it was."""
    serving = Served(plan_of(windows), server)
    served(windows, batches, server)
    some = data.draw(oracle.transactions(5))
    before = {key: server.dump(key) for key in server.scan_iter()}
    read_states = serving.enter(some, record=False) if some else {}
    assert {key: server.dump(key) for key in server.scan_iter()} == before
    known = {event.id for batch in batches for event in batch if isinstance(event, Transaction)}
    if some and not known & {each.id for each in some}:
        entered = serving.enter(some)
        np.testing.assert_equal(read_states, entered)


def test_a_repeat_has_the_values_of_the_first_time(redis: Redis) -> None:
    """Bit by bit, though others have come between."""
    serving = Served(plan_of((COUNT, SUM)), redis)
    some = [row(second, amount=0.1 * second) for second in range(5)]
    first = serving.enter(some)
    serving.enter([row(100.0, name="other")])
    assert serving.enter(random.Random(1).sample(some, 5)) is not None  # noqa: S311 - an order
    assert serving.enter(some) == first


def test_values_that_are_gone_are_computed_anew_and_nothing_is_counted(redis: Redis) -> None:
    """As for a repeat after VALUES_HOURS: it is known, and sees the past as it is now, but not itself."""
    serving = Served(plan_of((COUNT,)), redis)
    serving.enter([row(1.0, name="1")])
    redis.delete(*redis.keys("fraud:v:*"))  # type: ignore[misc]
    assert serving.enter([row(1.0, name="1")]) == {COUNT.name: [0.0]}
    assert serving.enter([row(2.0, name="2")]) == {COUNT.name: [1.0]}


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(("age", "awaited"), [(0, [0]), (IN_FLIGHT_SECONDS - 10, [0]), (IN_FLIGHT_SECONDS + 1, [])])
def test_values_are_waited_for_only_while_somebody_may_write_them(
    redis: Redis, record: bool, age: int, awaited: list[int]
) -> None:
    """A request that was given up after its rows had entered, or a day ago, holds up no repeat."""
    serving = Served(plan_of((COUNT,)), redis)
    serving.enter([row(1.0, name="1")])
    redis.delete(*redis.keys("fraud:v:*"))  # type: ignore[misc]
    (block,) = redis.keys("fraud:b:*")  # type: ignore[misc]
    redis.expire(block, KNOWN_SECONDS + SLOT_SECONDS - age)
    repeat = serving.session([row(1.0, name="1")], record=record)
    BatchPipeline(redis, KEY).enter(repeat)
    assert repeat.awaiting_values.tolist() == awaited
    assert repeat.values()[COUNT.name].tolist() == [0.0]


def test_another_plan_counts_nothing_twice(redis: Redis) -> None:
    """A version with more windows sees a repeat with values of its own, and the state that it shares is as before."""
    Served(plan_of((COUNT,)), redis).enter([row(1.0, name="1")])
    wider = Served(plan_of((COUNT, Window(Aggregate.COUNT, "card", None, HOUR, HOUR))), redis)
    wider.enter([row(1.0, name="1")])
    assert wider.enter([row(2.0, name="2")])[COUNT.name] == [1.0]


def test_long_states_are_merged_and_forget_what_no_window_reaches(redis: Redis) -> None:
    """A card of years with a few transactions an hour keeps as many records as its windows have hours, and no more."""
    serving = Served(plan_of((SUM,)), redis, now=START + 400 * DAY)
    for day in range(0, 400, 2):
        serving.enter([row(day * DAY + second, name=f"{day}-{second}") for second in range(4)])
    (key,) = redis.scan_iter("fraud:h:*")
    assert cast("int", redis.strlen(key)) <= 3 * sessions.MERGE_MIN_RECORDS * serving.plan.layouts[0].dtype.itemsize


def test_one_row_of_another_time_makes_nobody_forget(redis: Redis) -> None:
    """A clock that says 2099 must not push out what the card did this week."""
    serving = Served(plan_of((COUNT,)), redis, now=START + DAY)
    for second in range(3 * sessions.MERGE_MIN_RECORDS):
        serving.enter([row(float(second), name=str(second))])
    serving.enter([row(80 * 365.0 * DAY, name="2099")])
    assert serving.enter([row(1_000.0, name="now")]) == {COUNT.name: [3.0 * sessions.MERGE_MIN_RECORDS]}


def test_a_batch_whose_gateway_died_is_counted_all_the_same(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had claimed its rows, and other gateways recover its journals: once, however often they try."""
    monkeypatch.setattr(sessions, "SMALL_BATCH_ROWS", 2)
    monkeypatch.setattr(sessions, "CLAIM_ROWS", 2)
    serving = Served(plan_of((COUNT, SUM)), redis)
    dying = serving.session([row(float(second), amount=1.0, name=str(second)) for second in range(5)])
    serving.script(REGISTER, *dying.registration())
    for command in dying.claim_commands():
        assert redis.execute_command(*parts(command))  # type: ignore[no-untyped-call]
    assert [serving.script(RECOVER, 0) for _ in range(4)] == [1, 1, 1, 0]
    assert serving.enter([row(6.0, name="6")]) == {COUNT.name: [5.0], SUM.name: [5.0]}


def test_a_batch_that_others_recovered_in_part_is_counted_once(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other journals are applied one by one."""
    monkeypatch.setattr(sessions, "SMALL_BATCH_ROWS", 2)
    monkeypatch.setattr(sessions, "CLAIM_ROWS", 2)
    serving = Served(plan_of((COUNT,)), redis)
    slow = serving.session([row(float(second), name=str(second)) for second in range(7)])
    serving.script(REGISTER, *slow.registration())
    slow.receive_claims([redis.execute_command(*parts(each)) for each in slow.claim_commands()])  # type: ignore[no-untyped-call]
    assert serving.script(RECOVER, 0) == 1
    tries = []
    while calls := slow.apply_calls():
        tries.append([serving.script(APPLY, *call) for call in calls])
        slow.receive_applied(tries[-1])
    assert tries == [[0], [0, 1, 1, 1]]
    assert slow.entered_count == 7
    assert serving.enter([row(8.0, name="8")]) == {COUNT.name: [7.0]}


def parts(command: bytes) -> list[bytes]:
    """A command out of Redis' protocol."""
    result, rest = [], command.split(b"\r\n", 1)[1]
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        length = int(size.removeprefix(b"$"))
        result.append(rest[:length])
        rest = rest[length + 2 :]
    return result


def test_a_row_of_two_requests_at_once_enters_once(redis: Redis) -> None:
    """The second one finds it known, and waits for its values."""
    serving = Served(plan_of((COUNT,)), redis)
    first, second = (serving.session([row(1.0, name="1")]) for _ in range(2))
    for each in (first, second):
        while calls := each.entry_calls():
            each.receive_entries([serving.script(ENTER, *call) for call in calls])
    assert (len(first.awaiting_values), second.awaiting_values.tolist()) == (0, [0])
    serving.script(STORE_VALUES, *first.store_arguments(first.values()))
    second.retry_lookups()
    second.receive_entries([serving.script(ENTER, *call) for call in second.entry_calls()])
    assert not len(second.awaiting_values)
    assert second.values()[COUNT.name].tolist() == [0.0]


USUAL_TIMES = oracle.times().filter(lambda seconds: math.isnan(seconds) or 1 <= seconds < 1e10)
MOMENTS = st.builds(lambda seconds, fraction: seconds + fraction, USUAL_TIMES, st.sampled_from([0.0, 0.25]))
KNOWN = st.lists(st.tuples(MOMENTS, st.sampled_from(["s", "t", ""])), min_size=1, max_size=5)


@settings(max_examples=200)
@given(known=KNOWN, data=st.data())
def test_another_transaction_with_a_known_id_is_no_repeat(
    server: Redis, known: list[tuple[float, str]], data: st.DataObject
) -> None:
    """By the second of its time, or by whose risk it would change; the same one is never taken for another."""
    risk = Window(Aggregate.RISK, oracle.SHOP, None, 7 * DAY, HOUR, DAY)
    server.flushall()
    serving = Served(plan_of((COUNT, risk)), server)
    again = [data.draw(st.sampled_from([each, *known])) for each in known]
    first, second = (
        [
            Transaction(f"{place}", seconds, {**row(0.0).texts, oracle.SHOP: shop}, row(0.0).numbers)
            for place, (seconds, shop) in enumerate(rows)
        ]
        for rows in (known, again)
    )
    serving.enter(first)
    session = serving.session(second)
    BatchPipeline(server, KEY).enter(session)
    # A row without a time is in nobody's history.
    changed = [
        place
        for place, ((at, shop), (before, where)) in enumerate(zip(again, known, strict=True))
        if (math.isnan(at) != math.isnan(before))
        or (not math.isnan(at) and (math.floor(at), shop) != (math.floor(before), where))
    ]
    assert session.reused_ids.tolist() == changed


def test_a_file_that_is_not_in_order_of_time_is_looked_up_at_the_price_of_its_values(redis: Redis) -> None:
    """Sent again in another order: each chunk of its values is read once, and no more is sent than these."""
    serving, rng = Served(plan_of((COUNT, SUM)), redis), random.Random(1)  # noqa: S311 - an order
    some = [row(float(second % 50), amount=0.1 * second, name=str(second)) for second in range(8_000)]
    first = serving.enter(some)
    places = rng.sample(range(8_000), 8_000)
    stored = sum(cast("int", redis.strlen(key)) for key in redis.scan_iter("fraud:v:*"))
    before = bytes_sent(redis)
    repeat = serving.enter([some[place] for place in places])
    assert repeat == {name: [values[place] for place in places] for name, values in first.items()}
    keys = 16 * 16 * (len("fraud:v:") + 16)  # Of each of the 16 blocks in each of the 16 chunks.
    assert bytes_sent(redis) - before < 1.2 * (stored + keys) + 8_000 * (16 + 4)


def bytes_sent(redis: Redis) -> int:
    """What Redis has sent since it was started."""
    return int(redis.info("stats")["total_net_output_bytes"])  # type: ignore[index]


def test_a_large_file_whose_values_are_about_to_be_written_waits_for_them(redis: Redis) -> None:
    """The request that entered it was cut off, or is at work: its rows are looked up in as many calls as they need."""
    serving = Served(plan_of((COUNT,)), redis)
    some = [row(float(second), name=str(second)) for second in range(9_000)]
    first = serving.session(some)
    pipeline = BatchPipeline(redis, KEY)
    first.receive_states(pipeline.read(first))
    pipeline.enter(first)
    repeat = serving.session(some)
    repeat.receive_states(pipeline.read(repeat))
    pipeline.enter(repeat)
    assert len(repeat.awaiting_values) == 9_000
    repeat.values()
    serving.script(STORE_VALUES, *first.store_arguments(values := first.values()))
    repeat.retry_lookups()
    pipeline.look_up(repeat)
    assert (len(repeat.awaiting_values), repeat.inexact) == (0, False)
    np.testing.assert_equal(repeat.values(), values)


def test_values_that_were_awaited_and_never_come_are_awaited_no_more(redis: Redis) -> None:
    """The first request says that it has none: the repeat computes its own."""
    serving = Served(plan_of((COUNT,)), redis)
    first, second = (serving.session([row(1.0, name="1")]) for _ in range(2))
    for each in (first, second):
        BatchPipeline(redis, KEY).enter(each)
    assert second.awaiting_values.tolist() == [0]
    serving.script(STORE_VALUES, *first.store_arguments(None))
    second.retry_lookups()
    BatchPipeline(redis, KEY).look_up(second)
    assert (second.awaiting_values.tolist(), second.values()[COUNT.name].tolist()) == ([], [0.0])


@pytest.mark.parametrize("record", [True, False])
def test_values_that_have_gone_from_a_large_file_are_computed_anew(redis: Redis, record: bool) -> None:
    """Redis threw one of its chunks out: its rows see what is there without them, the others what they saw first."""
    serving = Served(plan_of((COUNT,)), redis)
    some = [row(float(second), name=str(second)) for second in range(1_200)]
    first = serving.enter(some)
    (block,) = redis.keys("fraud:b:*")  # type: ignore[misc]
    redis.expire(block, KNOWN_SECONDS + SLOT_SECONDS - IN_FLIGHT_SECONDS - 1)
    redis.delete(b"fraud:v:" + block.removeprefix(b"fraud:b:") + (1).to_bytes(4, "little"))
    repeat = serving.enter(some, record=record)
    assert repeat[COUNT.name][:500] == first[COUNT.name][:500]
    assert repeat[COUNT.name][500:1_000] == [700.0 + place for place in range(500)]

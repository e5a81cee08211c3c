import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.windows import (
    COLUMN_AGGREGATES,
    DAY,
    HOUR,
    MAX_BUCKETS,
    MINUTE,
    SMALLEST_BUCKET,
    Aggregate,
    Window,
    WindowError,
    duration,
)

COUNT = Window(Aggregate.COUNT, "card", None, DAY, HOUR)
SUM = Window(Aggregate.SUM, "card", "amount", DAY, HOUR)
RISK = Window(Aggregate.RISK, "card", None, DAY, HOUR, DAY)
NAMES = st.text(min_size=1, max_size=8) | st.text(".(-)/1dhcount\n", min_size=1, max_size=20)
NESTED = st.sampled_from(["a", "a.sum(b", "b", "b.max(c", "c", "a.count.1d/1h\nb", "a.count", "b).1d"])


@st.composite
def definitions(draw: st.DrawFn, names: st.SearchStrategy[str] = NAMES) -> Window:
    """Any window that has a meaning; no bracket in the entity's name, see the test after the next."""
    aggregate = draw(st.sampled_from(Aggregate))
    bucket = draw(st.sampled_from([MINUTE, 61, 90, HOUR, DAY, 7 * DAY]) | st.integers(SMALLEST_BUCKET, 10**5))
    most = min(MAX_BUCKETS // 2, 4 * 365 * DAY // bucket)
    buckets, delay = draw(st.integers(1, most)), draw(st.integers(0, most)) * bucket
    if aggregate in {Aggregate.SINCE_LAST, Aggregate.RATIO}:
        delay = 0
    if aggregate is Aggregate.RISK:
        delay = delay or bucket
    column = draw(names) if aggregate in COLUMN_AGGREGATES else None
    entity = draw(names.filter(lambda name: "(" not in name))
    return Window(aggregate, entity, column, buckets * bucket, bucket, delay)


@given(definitions())
def test_a_window_survives_json(window: Window) -> None:
    """What to_json writes, from_json reads back equal."""
    assert Window.from_json(json.loads(json.dumps(window.to_json()))) == window


@given(definitions(NESTED), definitions(NESTED))
def test_equal_names_are_equal_definitions(one: Window, other: Window) -> None:
    """The name tells every part, whatever the columns are called."""
    assert (one.name == other.name) == (one == other)


@pytest.mark.parametrize("aggregate", [Aggregate.SUM, Aggregate.DISTINCT])
def test_a_column_named_like_a_window_is_distinguished(aggregate: Aggregate) -> None:
    """Where entity and column together could be read in two ways, at most one of them is a definition."""

    def name(entity: str, of: Aggregate, column: str) -> str | None:
        try:
            return Window(of, entity, column, DAY, HOUR).name
        except WindowError:
            return None

    one, other = name("a", aggregate, "b.max(c"), name(f"a.{aggregate}(b", Aggregate.MAX, "c")
    assert one is None or one != other


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (COUNT, "card.count.1d/1h"),
        (SUM, "card.sum(amount).1d/1h"),
        (RISK, "card.risk.1d-1d/1h"),
        (replace(RISK, seconds=30 * DAY, delay=7 * DAY, bucket=DAY), "card.risk.30d-7d/1d"),
        (replace(COUNT, seconds=90 * MINUTE, bucket=90 * MINUTE), "card.count.90m/90m"),
        (replace(COUNT, seconds=122, bucket=61), "card.count.122s/61s"),
    ],
)
def test_the_name_is_what_people_would_write(window: Window, name: str) -> None:
    """Entity, aggregate, column, window, delay and bucket, in this order."""
    assert window.name == name


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_durations_differ(one: int, other: int) -> None:
    """Each number of seconds has a text of its own."""
    assert (duration(one) == duration(other)) == (one == other)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (1, "1s"), (60, "1m"), (90, "90s"), (3_600, "1h"), (86_400, "1d"), (90_000, "25h")],
)
def test_a_duration_has_its_largest_whole_unit(seconds: int, text: str) -> None:
    """Days, hours, minutes, or else seconds."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("window", "change"),
    [
        (COUNT, {"column": "amount"}),
        (SUM, {"column": None}),
        (RISK, {"column": "amount"}),
        (COUNT, {"aggregate": Aggregate.DISTINCT}),
        (COUNT, {"bucket": SMALLEST_BUCKET - 1}),
        (COUNT, {"bucket": 0}),
        (COUNT, {"bucket": -HOUR}),
        (COUNT, {"seconds": 0}),
        (COUNT, {"seconds": -HOUR}),
        (COUNT, {"seconds": MINUTE}),
        (COUNT, {"seconds": HOUR + 1}),
        (COUNT, {"delay": -HOUR}),
        (COUNT, {"delay": MINUTE}),
        (COUNT, {"seconds": (MAX_BUCKETS + 1) * HOUR}),
        (COUNT, {"seconds": MAX_BUCKETS * HOUR, "delay": HOUR}),
        (COUNT, {"aggregate": Aggregate.SINCE_LAST, "delay": HOUR}),
        (SUM, {"aggregate": Aggregate.RATIO, "delay": HOUR}),
        (RISK, {"delay": 0}),
    ],
)
def test_what_has_no_meaning_or_no_bound_is_refused(window: Window, change: dict[str, Any]) -> None:
    """Columns that do not fit, parts that are no whole buckets, too many of them, and delays out of place."""
    with pytest.raises(WindowError) as refusal:
        replace(window, **change)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("days", [10**6, 10**35, 10**400], ids=["long", "float32", "float64"])
def test_a_window_longer_than_anyone_s_past_is_refused(days: int) -> None:
    """One large bucket is no way around the bound: seconds must fit a float32, and a key's expiry."""
    with pytest.raises(WindowError):
        Window(Aggregate.SINCE_LAST, "card", None, days * DAY, days * DAY)


def test_the_most_buckets_are_allowed() -> None:
    """The bound itself is no refusal."""
    assert replace(COUNT, seconds=MAX_BUCKETS * HOUR).buckets == MAX_BUCKETS
    assert replace(COUNT, seconds=HOUR, delay=(MAX_BUCKETS - 1) * HOUR).oldest == MAX_BUCKETS


@pytest.mark.parametrize(
    ("seconds", "delay", "oldest", "newest"), [(1, 0, 0, 0), (24, 0, 23, 0), (1, 1, 2, 2), (24, 7, 31, 8)]
)
def test_the_buckets_are_those_of_the_rule(seconds: int, delay: int, oldest: int, newest: int) -> None:
    """Without a delay k-n+1 to k; with one k-d-n to k-d-1."""
    window = replace(COUNT, seconds=seconds * HOUR, delay=delay * HOUR)
    assert (window.oldest, window.newest, window.buckets) == (oldest, newest, seconds)


@pytest.mark.parametrize("field", ["seconds", "bucket", "delay"])
@pytest.mark.parametrize("value", [3_600.0, 3_600.5, True, "3600", None, float("nan"), [3_600]])
def test_only_whole_numbers_are_read(field: str, value: object) -> None:
    """A fraction, a truth or a text for a number is refused, were it equal to one."""
    fields: Mapping[str, Any] = RISK.to_json() | {field: value}
    with pytest.raises(WindowError):
        Window.from_json(fields)


@pytest.mark.parametrize("aggregate", ["median", "", None, 1, ["count"], "COUNT"])
def test_an_unknown_aggregate_is_a_value_error(aggregate: object) -> None:
    """What this release cannot compute is refused."""
    with pytest.raises(ValueError, match="Aggregate"):
        Window.from_json(COUNT.to_json() | {"aggregate": aggregate})

"""Moments in the formats that files have."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.cells import from_json, from_text
from contract.dates import DateFormatError, format_time, join_date_time, parse_time, split_date_time
from contract.faults import FaultCode
from contract.schema import Column, Kind, TimeFormat

MOMENT = datetime(2026, 1, 31, 18, 5, tzinfo=UTC).timestamp()
TEXTS = [form for form in TimeFormat if not form.is_number]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (TimeFormat.ISO, "2026-01-31T18:05:00"),
        (TimeFormat.ISO, "2026-01-31 18:05Z"),
        (TimeFormat.ISO, "2026-01-31T19:05:00+01:00"),
        (TimeFormat.ISO, "20260131T1805"),
        (TimeFormat.DAY_FIRST, "31/01/2026 18:05"),
        (TimeFormat.DAY_FIRST, "31.1.26, 18:05:00"),
        (TimeFormat.DAY_FIRST, "31-Jan-2026 6:05 PM"),
        (TimeFormat.DAY_FIRST, "31 January 2026 18:05:00.000"),
        (TimeFormat.DAY_FIRST, "31/01/2026 19:05 +0100"),
        (TimeFormat.MONTH_FIRST, "1/31/2026 6:05PM"),
        (TimeFormat.MONTH_FIRST, "Jan 31, 2026 18:05"),
        (TimeFormat.MONTH_FIRST, "01-31-26 18:05 UTC"),
        (TimeFormat.YEAR_FIRST, "2026/01/31 18:05"),
        (TimeFormat.YEAR_FIRST, "2026.1.31 18:05:00,0"),
        (TimeFormat.YEAR_FIRST, "20260131180500"),
    ],
)
def test_one_moment_in_many_writings(form: TimeFormat, text: str) -> None:
    """Each format reads its usual writings, and UTC is meant where no zone is named."""
    assert parse_time(form, text) == MOMENT


@pytest.mark.parametrize("form", TEXTS)
def test_a_date_alone_is_its_midnight(form: TimeFormat) -> None:
    """The time of the day may be left out."""
    text = format_time(form, MOMENT).replace("T", " ").split(" ")[0]
    assert parse_time(form, text) == datetime(2026, 1, 31, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (TimeFormat.DAY_FIRST, "01/31/2026"),
        (TimeFormat.MONTH_FIRST, "31/01/2026"),
        (TimeFormat.DAY_FIRST, "30/02/2026"),
        (TimeFormat.DAY_FIRST, "31/01/2026 24:00"),
        (TimeFormat.DAY_FIRST, "31/01/2026 13:05 PM"),
        (TimeFormat.DAY_FIRST, "31/01/2026 10:60"),
        (TimeFormat.DAY_FIRST, "31 Foo 2026"),
        (TimeFormat.DAY_FIRST, "2026-01-31"),
        (TimeFormat.YEAR_FIRST, "20260132"),
        (TimeFormat.YEAR_FIRST, "2026/01-31"),
        (TimeFormat.ISO, "31/01/2026"),
        (TimeFormat.ISO, "1711111111111"),
    ],
)
def test_what_a_format_does_not_hold_is_refused(form: TimeFormat, text: str) -> None:
    """Never read as another day, and never repeated."""
    with pytest.raises(DateFormatError) as refused:
        parse_time(form, text)
    assert text not in str(refused.value)


@given(st.sampled_from(TEXTS), st.integers(0, 4 * 10**9 * 10**6))
def test_a_written_moment_is_read_as_the_same(form: TimeFormat, microseconds: int) -> None:
    """Each format keeps a moment to the microsecond."""
    assert parse_time(form, format_time(form, microseconds / 1e6)) == microseconds / 1e6


@given(st.sampled_from([form for form in TimeFormat if form.is_number]), st.integers(-(10**9), 4 * 10**9))
def test_numbers_since_1970_are_seconds_in_the_table(form: TimeFormat, seconds: int) -> None:
    """Whatever unit they are written in, from a file and from JSON."""
    column, text = Column("t", Kind.TIMESTAMP, time_format=form), format_time(form, float(seconds))
    assert from_text(column, [text]).values.tolist() == [seconds]
    assert from_json(column, [float(text)]).values.tolist() == [seconds]


def test_a_number_in_another_unit_is_no_time() -> None:
    """Nanoseconds taken for milliseconds lie beyond all calendars."""
    column = Column("t", Kind.TIMESTAMP, time_format=TimeFormat.MILLISECONDS)
    assert from_text(column, ["1700000000000000000"]).faults == {0: FaultCode.NOT_A_DATE}


@given(st.sampled_from(TEXTS), st.text("0123456789/.-:, TZ+APMJaneb", max_size=30))
def test_any_text_is_a_moment_or_a_fault(form: TimeFormat, text: str) -> None:
    """From a file and from JSON alike, and never an exception."""
    column = Column("t", Kind.TIMESTAMP, time_format=form)
    one, other = from_text(column, [text]), from_json(column, [text])
    assert one.faults == other.faults
    assert one.values.tobytes() == other.values.tobytes()


@given(st.sampled_from([form for form in TimeFormat if not form.is_number]), st.integers(0, 4_000_000_000))
def test_a_time_in_two_columns_is_the_time(form: TimeFormat, seconds: int) -> None:
    """What is written, parted and joined again is read as the same moment."""
    day, clock = split_date_time(format_time(form, float(seconds)))
    assert ":" in clock
    assert ":" not in day
    assert parse_time(form, join_date_time(f" {day}", f"{clock} ")) == seconds


@pytest.mark.parametrize(("day", "clock"), [("", "18:05"), ("2026-01-31", " "), ("", "")])
def test_half_a_time_is_none(day: str, clock: str) -> None:
    """A missing part makes a missing cell: nothing happens at midnight because nobody knows when."""
    assert not join_date_time(day, clock)

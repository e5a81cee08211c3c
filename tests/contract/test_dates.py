"""Moments in the formats that files have."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.cells import from_json, from_text
from contract.dates import DateFormatError, form_of, format_time, join_parts, parse_time, split_parts, zone_of
from contract.faults import FaultCode
from contract.schema import Column, ContractError, Kind, TimeFormat

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
        (TimeFormat.MONTH_FIRST, "1/31/2026, 6:05:00\u202fPM"),
        (TimeFormat.DAY_FIRST, "31/1/2026, 6:05:00 p.\u00a0m."),
        (TimeFormat.DAY_FIRST, "31/01/2026 06:05 p.m."),
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
    day, clock = split_parts(format_time(form, float(seconds)), 2)
    assert ":" in clock
    assert ":" not in day
    assert parse_time(form, join_parts([f" {day}", f"{clock} "])) == seconds


@pytest.mark.parametrize(("day", "clock"), [("", "18:05"), ("2026-01-31", " "), ("", "")])
def test_half_a_time_is_none(day: str, clock: str) -> None:
    """A missing part makes a missing cell: nothing happens at midnight because nobody knows when."""
    assert not join_parts([day, clock])


@pytest.mark.parametrize(
    ("form", "scale"), [(TimeFormat.SECONDS, 1), (TimeFormat.HOURS, 3600), (TimeFormat.DAYS, 86_400)]
)
@given(number=st.integers(-10_000, 10_000))
def test_a_running_time_is_read_in_seconds(form: TimeFormat, scale: int, number: int) -> None:
    """A step of hours or days counts from any moment; text and JSON give the same, to the second."""
    column = Column("step", Kind.TIMESTAMP, time_format=form)
    for cells in (from_text(column, [str(number)]), from_json(column, [number])):
        assert cells.values.tolist() == [number * scale]
    assert float(format_time(form, float(number * scale))) == number


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-01-31T18:05:00Z", TimeFormat.ISO),
        ("20260131", TimeFormat.ISO),
        ("Sat, 31 Jan 2026 18:05:00 +0000", TimeFormat.ISO),
        ("31/01/2026", TimeFormat.DAY_FIRST),
        ("31.1.26 18:05", TimeFormat.DAY_FIRST),
        (" 1/31/2026 6:05 PM ", TimeFormat.MONTH_FIRST),
        ("2026/01/31", TimeFormat.YEAR_FIRST),
        ("20260131180500", TimeFormat.YEAR_FIRST),
        ("1769882700", TimeFormat.SECONDS),
        ("1769882700.25", TimeFormat.SECONDS),
        ("1769882700000", TimeFormat.MILLISECONDS),
        ("1769882700000000", TimeFormat.MICROSECONDS),
        ("5/2/2026 13:05", None),
        ("1/1/2026", None),
        ("743", None),
        ("-1769882700", None),
        ("1769882700000000000", None),
        ("18:05", None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_the_form_of_a_text_is_the_only_likely_one(text: str, form: TimeFormat | None) -> None:
    """Day and month that could be either way round tell no form, nor does a number that is no moment of our time."""
    assert form_of(text) is form


@given(st.sampled_from(TimeFormat), st.integers(1_600_000_000, 1_900_000_000))
def test_a_form_that_is_told_reads_the_text(form: TimeFormat, seconds: int) -> None:
    """Whatever is told of a written moment is true of it."""
    text = format_time(form, float(seconds))
    if (found := form_of(text)) is not None:
        column = Column("time", Kind.TIMESTAMP, time_format=found)
        assert (
            from_text(column, [text]).values.tolist()
            == from_text(Column("time", Kind.TIMESTAMP, time_format=form), [text]).values.tolist()
        )


BERLIN = zone_of("Europe/Berlin")


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize(("month", "hour"), [(1, 17), (7, 16)])
def test_a_text_without_an_offset_is_a_moment_of_the_zone(form: TimeFormat, month: int, hour: int) -> None:
    """By its clocks of that day."""
    moment = datetime(2026, month, 31, hour, 5, tzinfo=UTC).timestamp()
    text = format_time(form, moment, BERLIN)
    assert "18:05" in text
    assert parse_time(form, text, BERLIN) == moment


def test_an_offset_goes_before_the_zone() -> None:
    """What a text says itself is true."""
    assert parse_time(TimeFormat.ISO, "2026-01-31T18:05:00Z", BERLIN) == MOMENT
    assert parse_time(TimeFormat.DAY_FIRST, "31/01/2026 18:05 +0000", BERLIN) == MOMENT


def test_of_two_moments_that_clocks_show_the_first_is_meant() -> None:
    """They are set back from three to two."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert parse_time(TimeFormat.ISO, "2026-10-25T02:30:00", BERLIN) == first


def test_a_moment_that_clocks_skip_is_none() -> None:
    """They are set forward from two to three: who writes half past two has made a mistake, or means another zone."""
    with pytest.raises(DateFormatError):
        parse_time(TimeFormat.ISO, "2026-03-29T02:30:00", BERLIN)


@given(
    st.sampled_from(TEXTS),
    st.integers(0, 4 * 10**9),
    st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "America/New_York"]),
)
def test_a_moment_that_is_written_in_a_zone_is_read_as_the_same(form: TimeFormat, seconds: int, name: str) -> None:
    """But for the hour that clocks show twice."""
    zone = zone_of(name)
    read = parse_time(form, format_time(form, float(seconds), zone), zone)
    assert seconds - read in {0, 3600}


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../etc/passwd", "Europe", "CEST"])
def test_a_zone_that_nobody_knows_is_refused(name: str) -> None:
    """In words that say what to write."""
    with pytest.raises(ContractError, match="write one such as Europe/Berlin"):
        zone_of(name)


@pytest.mark.parametrize(
    "parts",
    [
        ("2026", "1", "31", "18:05"),
        ("2026", "01", "31", "18:05:00"),
        ("2026", "1", "31", "1805"),
        ("2026.0", "1.0", "31.0", "1805"),
        ("2026", "Jan", "31", "6:05 PM"),
        ("2026", "January", " 31 ", "180500"),
        ("2026", "1", "31", "18", "5"),
        ("2026", "1", "31", "18.0", "05", "0"),
    ],
)
def test_a_time_in_parts_is_the_time(parts: tuple[str, ...]) -> None:
    """Year, month and day, and the time of the day in one cell or several."""
    assert parse_time(TimeFormat.YEAR_FIRST, join_parts(parts)) == MOMENT


def test_parts_may_end_early() -> None:
    """With the day it is midnight; an hour alone is that hour."""
    midnight = datetime(2026, 1, 31, tzinfo=UTC).timestamp()
    assert parse_time(TimeFormat.YEAR_FIRST, join_parts(["2026", "1", "31"])) == midnight
    assert parse_time(TimeFormat.YEAR_FIRST, join_parts(["2026", "1", "31", "9"])) == midnight + 9 * 3600


@pytest.mark.parametrize(
    "parts",
    [
        ("26", "1", "31"),
        ("2026", "13", "31"),
        ("2026", "1", "31", "905"),
        ("2026", "1", "31", "24"),
        ("2026", "x", "31"),
    ],
)
def test_parts_with_several_readings_or_none_are_no_time(parts: tuple[str, ...]) -> None:
    """905 is 9:05, or 90:5; a year has four digits."""
    with pytest.raises(DateFormatError):
        parse_time(TimeFormat.YEAR_FIRST, join_parts(parts))


@pytest.mark.parametrize("missing", range(4))
def test_a_time_without_one_of_its_parts_is_missing(missing: int) -> None:
    """Nothing is taken for it."""
    assert not join_parts(["" if place == missing else "2026" for place in range(4)])


@given(st.integers(4, 6), st.integers(0, 4_000_000_000))
def test_a_time_that_is_parted_is_joined_again(count: int, seconds: int) -> None:
    """But for what is smaller than its last part."""
    parts = split_parts(format_time(TimeFormat.YEAR_FIRST, float(seconds)), count)
    assert len(parts) == count
    unit = 60 if count == 5 else 1
    assert parse_time(TimeFormat.YEAR_FIRST, join_parts(parts)) == seconds // unit * unit

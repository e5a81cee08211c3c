"""Parses and formats times as people and programs write them: seconds since 1970, UTC where no zone is named.

    iso            2026-01-31T18:05:00, 2026-01-31 18:05+01:00, 20260131
    day-first      31/01/2026 18:05, 31.1.26, 31-Jan-2026 6:05 PM
    month-first    1/31/2026 18:05, Jan 31, 2026
    year-first     2026/01/31 18:05:00, 20260131180500
    milliseconds, microseconds    a number of them since 1970
    seconds        a number, of whatever moment they count from

03/04/2026 is a day in April or in March: a column has one format, and its cells are parsed in no other.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from contract.schema import TimeFormat

ISO = re.compile(r"[\dW-]{8,10}([T ][\d:.,]+(Z|[+-][\d:.]+)?)?", re.ASCII | re.IGNORECASE)
"""The shape of ISO 8601 text. fromisoformat checks the rest, but takes any character between date and time, a digit
too: 1711111111111, in truth milliseconds, would be a moment of the year 1711."""

CLOCK = (
    r"(?:(?:, ?| |T)(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,6})\d{0,3})?)?)?"
    r"(?: ?(?P<meridiem>AM|PM))?(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}))?)?"
)
"""The time of the day, which may be left out."""
DAY, MONTH, YEAR = r"(?P<day>\d{1,2})", r"(?P<month>\d{1,2}|[A-Z]{3,9})", r"(?P<year>\d{4}|\d{2})"
PATTERNS = {
    form: re.compile(date + CLOCK, re.ASCII | re.IGNORECASE)
    for form, date in {
        TimeFormat.DAY_FIRST: rf"{DAY}(?:[/.-]|[ ]){MONTH}(?:[/-]|[. ]{{1,2}}){YEAR}",
        TimeFormat.MONTH_FIRST: rf"{MONTH}[/. -]{DAY}(?:[/.-]|,? ){YEAR}",
        TimeFormat.YEAR_FIRST: r"(?P<year>\d{4})(?P<between>[/.-]?)(?P<month>\d{1,2})(?P=between)(?P<day>\d{1,2})",
    }.items()
}
COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[ T]?(\d\d)(\d\d)(?:(\d\d))?)?", re.ASCII)
"""Date and time without separators."""
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
"""Written whole or cut short, to three letters at least."""
CENTURY = 2000
"""Of a year that is written with two digits."""
UNITS_PER_SECOND = {TimeFormat.SECONDS: 1.0, TimeFormat.MILLISECONDS: 1e3, TimeFormat.MICROSECONDS: 1e6}
"""Of the formats that are numbers."""
NOON = 12


class DateFormatError(ValueError):
    """A text that is no time in the format; the message never repeats the text."""


def parse_time(form: TimeFormat, text: str) -> float:
    """The seconds since 1970 of a text in a format other than a number.

    Raises:
        DateFormatError: it is none.
    """
    try:
        moment = PARSERS[form](text.strip())
    except (ValueError, OverflowError):
        raise DateFormatError from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def join_date_time(day: str, clock: str) -> str:
    """One text of a day and of the time of the day that stands beside it; "" where either is missing."""
    day, clock = day.strip(), clock.strip()
    return f"{day} {clock}" if day and clock else ""


def split_date_time(text: str) -> tuple[str, str]:
    """Day and time of the day of what :func:`format_time` wrote in a format of text."""
    day, _, clock = text.replace("T", " ").partition(" ")
    return day, clock


def format_time(form: TimeFormat, seconds: float) -> str:
    """A time in a format, to the microsecond; :func:`parse_time` gives it back.

    Raises:
        ValueError, OverflowError: a text cannot hold it.
    """
    if form is TimeFormat.SECONDS:
        return repr(seconds)
    if form in UNITS_PER_SECOND:
        return f"{seconds * UNITS_PER_SECOND[form]:.3f}"
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return FORMATTERS[form](moment)


def _iso(text: str) -> datetime:
    if not ISO.fullmatch(text):
        raise DateFormatError
    return datetime.fromisoformat(text)


def _year_first(text: str) -> datetime:
    if compact := COMPACT.fullmatch(text):
        year, month, day, hour, minute, second = (int(part or 0) for part in compact.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - `parse_time` says that it is UTC.
    return _by_pattern(TimeFormat.YEAR_FIRST, text)


def _by_pattern(form: TimeFormat, text: str) -> datetime:
    if (match := PATTERNS[form].fullmatch(text)) is None:
        raise DateFormatError
    parts = match.groupdict()
    year = int(parts["year"]) + (CENTURY if len(parts["year"]) < len("2026") else 0)
    moment = datetime(year, _month(parts["month"]), int(parts["day"]))  # noqa: DTZ001 - `_zoned` and `parse_time` say whose.
    return _zoned(moment + _clock(parts), parts["zone"])


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    return next((number for number, name in enumerate(MONTHS, 1) if name.startswith(text.lower())), 0)


def _clock(parts: Mapping[str, str | None]) -> timedelta:
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if parts["meridiem"]:
        if not 1 <= hour <= NOON:
            raise DateFormatError
        hour = hour % NOON + (NOON if parts["meridiem"].upper() == "PM" else 0)
    if hour >= 2 * NOON or max(minute, second) >= 60:  # noqa: PLR2004 - minutes and seconds.
        raise DateFormatError
    part = int((parts["part"] or "0").ljust(6, "0"))
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=part)


def _zoned(moment: datetime, zone: str | None) -> datetime:
    if zone is None or zone.upper() in {"Z", "UTC", "GMT"}:
        return moment.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{zone[:3]}:{zone[-2:]}")


PARSERS: dict[TimeFormat, Callable[[str], datetime]] = {
    TimeFormat.ISO: _iso,
    TimeFormat.DAY_FIRST: partial(_by_pattern, TimeFormat.DAY_FIRST),
    TimeFormat.MONTH_FIRST: partial(_by_pattern, TimeFormat.MONTH_FIRST),
    TimeFormat.YEAR_FIRST: _year_first,
}
FORMATTERS: dict[TimeFormat, Callable[[datetime], str]] = {
    TimeFormat.ISO: datetime.isoformat,
    TimeFormat.DAY_FIRST: lambda moment: f"{moment.day:02}/{moment.month:02}/{moment.year:04} {moment.time()}",
    TimeFormat.MONTH_FIRST: lambda moment: f"{moment.month:02}/{moment.day:02}/{moment.year:04} {moment.time()}",
    TimeFormat.YEAR_FIRST: lambda moment: f"{moment.year:04}/{moment.month:02}/{moment.day:02} {moment.time()}",
}

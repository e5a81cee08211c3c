"""Parses and formats times as people and programs write them: seconds since 1970, UTC where no zone is named.

    iso            2026-01-31T18:05:00, 2026-01-31 18:05+01:00, 20260131
    day-first      31/01/2026 18:05, 31.1.26, 31-Jan-2026 6:05 PM
    month-first    1/31/2026 18:05, Jan 31, 2026
    year-first     2026/01/31 18:05:00, 20260131180500
    milliseconds, microseconds    a number of them since 1970
    seconds, hours, days          a number of them, of whatever moment they count from

03/04/2026 is a day in April or in March: a column has one format, and its cells are parsed in no other.

Beside ISO 8601 an iso column takes what programs write in its place, where that has one reading: a zone behind the
offset (2026-01-31T18:05:00+01:00[Europe/Berlin]), UTC or GMT in words, more digits of a second than six, and the dates
of mails and of JavaScript (Sat, 31 Jan 2026 18:05:00 +0000, Sat Jan 31 2026 18:05:00 GMT+0100).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from contract.schema import ContractError, TimeFormat

ISO = re.compile(r"[\dW-]{8,10}([T ][\d:.,]+(Z|[+-][\d:.]+)?)?", re.ASCII | re.IGNORECASE)
"""The shape of ISO 8601 text. fromisoformat checks the rest, but takes any character between date and time, a digit
too: 1711111111111, in truth milliseconds, would be a moment of the year 1711."""
ZONED = re.compile(
    r"(?P<moment>[\dW-]{8,10}[T ][\d:.,]+) ?(?P<offset>Z|[+-]\d{2}(?::?\d{2})?)?(?P<name>(?(offset)\[[\w/+-]+\]|(?!)))?"
    r"(?P<word> (?:UTC|GMT))?",
    re.ASCII | re.IGNORECASE,
)
"""ISO 8601 with a blank before the offset, the zone's name behind it, or the words of UTC."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAY, DATE = rf"(?P<weekday>{'|'.join(WEEKDAYS)})", r"(?P<month>[A-Z]{3}) {1,2}(?P<day>\d{1,2})"
HOURS = r"(?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
ZONE = r"(?P<zone>(?:GMT|UTC)?[+-]\d{2}:?\d{2}|GMT|UTC|UT|Z)"
WORDED = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE)
    for pattern in (
        rf"{WEEKDAY}, (?P<day>\d{{1,2}}) (?P<month>[A-Z]{{3}}) (?P<year>\d{{4}}) {HOURS}(?: {ZONE})?(?: \([^()]*\))?",
        rf"{WEEKDAY} {DATE} (?P<year>\d{{4}})(?: {HOURS}(?: {ZONE})?(?: \([^()]*\))?)?",
        rf"{WEEKDAY} {DATE} {HOURS}(?: (?P<zone>GMT|UTC))? (?P<year>\d{{4}})",
    )
)
"""Dates of mails, of JavaScript, and of C and Java, which begin with the day of the week."""

CLOCK = (
    r"(?:(?:, ?| |T)(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,6})\d{0,3})?)?)?"
    r"(?: ?(?P<meridiem>[AP]M|[AP]\. ?M\.))?(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2}))?)?"
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
SCALES = {
    TimeFormat.SECONDS: (1.0, 1.0),
    TimeFormat.MILLISECONDS: (1.0, 1e3),
    TimeFormat.MICROSECONDS: (1.0, 1e6),
    TimeFormat.HOURS: (3600.0, 1.0),
    TimeFormat.DAYS: (86_400.0, 1.0),
}
"""How many seconds so many units are, of the formats that are numbers: both exact, as a fraction's value is not."""
NOON = 12
NARROW_BLANK = re.compile("[\u00a0\u202f]")
"""What JavaScript and spreadsheets put before AM and PM."""
DAY_AND_CLOCK = 2
WHOLE = re.compile(r"^(\d+)\.0*$", re.ASCII)
"""A whole number as programs write it whose column has empty cells."""
SINGLE_DIGIT = re.compile(r"\d(?!\d)", re.ASCII)
COMPACT_CLOCK = re.compile(r"^(\d\d)(\d\d)(\d\d)?$", re.ASCII)
"""A time of the day without separators."""
PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
EPOCH = (631_152_000.0, 4_102_444_800.0)
"""1990 and 2100 in seconds since 1970."""


class DateFormatError(ValueError):
    """A text that is no time in the format; the message never repeats the text."""


@cache
def zone_of(name: str) -> tzinfo:
    """The zone of a name such as Europe/Berlin; UTC where there is no name.

    Raises:
        ContractError: this machine knows none of that name.
    """
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ContractError(
            f"the zone {name} is not known here: write one such as Europe/Berlin, and install the package tzdata where "
            "the system has none"
        ) from None


def parse_time(form: TimeFormat, text: str, zone: tzinfo = UTC) -> float:
    """The seconds since 1970 of a text in a format other than a number.

    A text that names no offset is a moment of the zone: the first of two where its clocks are set back. One that they
    skip when they are set forward is none: it is a mistake, or the zone is another.

    Raises:
        DateFormatError: it is none.
    """
    try:
        moment = PARSERS[form](text.strip() if text.isascii() else NARROW_BLANK.sub(" ", text).strip())
        return (moment if moment.tzinfo else _moment_in(zone, moment)).timestamp()
    except (ValueError, OverflowError):
        raise DateFormatError from None


def in_seconds(form: TimeFormat, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The seconds of times in a format that is a number; to the microsecond where the unit is longer than a second."""
    multiplier, divisor = SCALES[form]
    return values / divisor if multiplier == 1.0 else np.round(values * multiplier, 6)


def form_of(text: str) -> TimeFormat | None:
    """The form that a text is written in, where it has only one that is likely.

    None where it is no time, or one in several forms, such as 03/04/2026. A number is seconds, milliseconds or
    microseconds where it is then a moment between 1990 and 2100.
    """
    text = text.strip()
    if PLAIN_NUMBER.fullmatch(text):
        units = [form for form in SCALES if form is TimeFormat.SECONDS or form.is_dated]
        likely = [form for form in units if EPOCH[0] <= float(text) / SCALES[form][1] <= EPOCH[1]]
        if likely:
            return likely[0]
    forms = [form for form in PARSERS if _is_written(form, text)]
    # What both of these read they read alike: 20260131.
    forms = [form for form in forms if form is not TimeFormat.YEAR_FIRST or TimeFormat.ISO not in forms]
    return forms[0] if len(forms) == 1 else None


def forms_in_words(text: str) -> str:
    """The form that a text has, or the forms that it may have; "" where it is no time."""
    if (form := form_of(text)) is not None:
        return form
    return " or ".join(form for form in PARSERS if _is_written(form, text.strip()))


def _is_written(form: TimeFormat, text: str) -> bool:
    try:
        parse_time(form, text)
    except DateFormatError:
        return False
    return True


def _moment_in(zone: tzinfo, moment: datetime) -> datetime:
    result = moment.replace(tzinfo=zone)
    if zone is not UTC and result.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise DateFormatError
    return result


def join_parts(parts: Sequence[str]) -> str:
    """One text of a time whose parts stand in several cells; "" where one is missing.

    Two are a day and the time of the day. More are year, month and day, year-first, and the time of the day: in one
    cell (18:05, 1805, or 18 for the hour), or hour, minute and second in up to three.
    """
    parts = list(map(str.strip, parts))
    if not all(parts):
        return ""
    if len(parts) == DAY_AND_CLOCK:
        return " ".join(parts)
    year, month, day, *clock = (WHOLE.sub(r"\1", part) for part in parts)
    return f"{year}-{_month(month) or month}-{day} {_joined_clock(clock)}".rstrip()


def _joined_clock(clock: Sequence[str]) -> str:
    if len(clock) > 1:
        return ":".join(f"0{each}" if SINGLE_DIGIT.match(each) else each for each in clock)
    return COMPACT_CLOCK.sub(_with_colons, clock[0]) if clock else ""


def _with_colons(match: re.Match[str]) -> str:
    return ":".join(filter(None, match.groups()))


def split_parts(text: str, count: int) -> tuple[str, ...]:
    """The `count` parts of what :func:`format_time` wrote, as :func:`join_parts` takes them; one is the whole.

    What is smaller than the last part is lost.
    """
    day, _, clock = text.replace("T", " ").partition(" ")
    if count <= DAY_AND_CLOCK:
        return (text,) if count == 1 else (day, clock)
    date, clock_parts = day.split("/"), count - len("ymd")
    return (*date, *([clock] if clock_parts == 1 else clock.split(":")[:clock_parts]))


def format_time(form: TimeFormat, seconds: float, zone: tzinfo = UTC) -> str:
    """A time in a format, to the microsecond, by the clocks of the zone; :func:`parse_time` gives it back.

    But for the second of two moments where clocks are set back, which no text without an offset names.

    Raises:
        ValueError, OverflowError: a text cannot hold it.
    """
    if form in SCALES:
        multiplier, divisor = SCALES[form]
        units = seconds * divisor / multiplier
        return f"{units:.3f}" if form.is_dated else repr(units)
    moment = datetime.fromtimestamp(seconds, zone).replace(tzinfo=None)
    return FORMATTERS[form](moment)


def _iso(text: str) -> datetime:
    if ISO.fullmatch(text):
        return datetime.fromisoformat(text.upper())
    if (match := ZONED.fullmatch(text)) is None:
        return _worded(text)
    offset = (match["offset"] or "").upper()
    if match["word"] and offset.strip("Z+-0:"):
        raise DateFormatError
    return datetime.fromisoformat(f"{match['moment'].upper()}{offset or ('Z' if match['word'] else '')}")


def _worded(text: str) -> datetime:
    """A date that begins with the day of the week; a wrong one is no date."""
    match = next(filter(None, (pattern.fullmatch(text) for pattern in WORDED)), None)
    if match is None:
        raise DateFormatError
    parts = match.groupdict()
    moment = _moment(parts)
    if WEEKDAYS[moment.weekday()] != parts["weekday"].lower():
        raise DateFormatError
    return moment


def _year_first(text: str) -> datetime:
    if compact := COMPACT.fullmatch(text):
        year, month, day, hour, minute, second = (int(part or 0) for part in compact.groups())
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - `parse_time` says that it is UTC.
    return _by_pattern(TimeFormat.YEAR_FIRST, text)


def _by_pattern(form: TimeFormat, text: str) -> datetime:
    if (match := PATTERNS[form].fullmatch(text)) is None:
        raise DateFormatError
    return _moment(match.groupdict())


def _moment(parts: Mapping[str, str | None]) -> datetime:
    year, month, day = (parts[name] or "" for name in ("year", "month", "day"))
    century = CENTURY if len(year) < len("2026") else 0
    moment = datetime(int(year) + century, _month(month), int(day))  # noqa: DTZ001 - `_zoned` and `parse_time` say whose.
    return _zoned(moment + _clock(parts), parts["zone"])


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    return next((number for number, name in enumerate(MONTHS, 1) if name.startswith(text.lower())), 0)


def _clock(parts: Mapping[str, str | None]) -> timedelta:
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if meridiem := parts.get("meridiem"):
        if not 1 <= hour <= NOON:
            raise DateFormatError
        hour = hour % NOON + (NOON if meridiem[0].upper() == "P" else 0)
    if hour >= 2 * NOON or max(minute, second) >= 60:  # noqa: PLR2004 - minutes and seconds.
        raise DateFormatError
    part = int((parts.get("part") or "0").ljust(6, "0"))
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=part)


def _zoned(moment: datetime, zone: str | None) -> datetime:
    if zone is None:
        return moment
    offset = zone.upper().removeprefix("GMT").removeprefix("UTC")
    if offset in {"", "Z", "UT"}:
        return moment.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{offset[:3]}:{offset[-2:]}")


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

"""A time whose year, month and day have columns of their own, found by their names and proven by their cells."""

import re
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from contract import cells
from contract.schema import Column, Kind, Missing, TimeFormat

UNITS = ("year", "month", "day", "hour", "minute", "second")
UNIT_NAMES = {
    "year": "year|yyyy|yr",
    "month": "month|mon",
    "day": "day|day[ _.-]?of[ _.-]?month|dom",
    "hour": "hour|hh|hr",
    "minute": "minute|min",
    "second": "second|sec",
    "clock": "time|clock|time[ _.-]?of[ _.-]?day|hhmm(?:ss)?",
}
PATTERNS = {
    unit: re.compile(rf"(?:^|(?<=[^A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{names})(?=$|[^A-Za-z]|(?-i:[A-Z]))")
    for unit, names in UNIT_NAMES.items()
}
YEARS = (1990, 2100)
"""Between which a time of a transaction lies, and not somebody's birth."""


def time_parts(frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns that hold the parts of a time in all rows, as `contract.schema.Column.parts`; none where none do."""
    for names in _candidates(list(frame.columns)):
        if _is_time(frame, names):
            return names
    return ()


def _candidates(header: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Year, month and day whose names have the rest in common, with the most of the time of the day first."""
    by_rest: dict[str, dict[str, str]] = {}
    for name in header:
        for unit, pattern in PATTERNS.items():
            rest, found = pattern.subn("", name, count=1)
            if found:
                by_rest.setdefault(rest.strip(" _.-").lower(), {}).setdefault(unit, name)
    for units in by_rest.values():
        yield from _ways(units)


def _ways(units: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    if not {"year", "month", "day"} <= units.keys():
        return
    day = tuple(units[unit] for unit in UNITS[:3])
    if "clock" in units:
        yield (*day, units["clock"])
    clock = [units[unit] for unit in UNITS[3:] if unit in units]
    if clock and "hour" in units:
        yield (*day, *clock)
    yield day


def _is_time(frame: pd.DataFrame, names: tuple[str, ...]) -> bool:
    """Whether all rows that have each part are a time, and some do."""
    column = Column("time", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.YEAR_FIRST, parts=names)
    years = pd.to_numeric(frame[names[0]], errors="coerce").dropna()
    if years.empty or not years.between(*YEARS).all():
        return False
    result = cells.from_text(column, cells.joined_texts(column, [frame[name].tolist() for name in names]))
    return not result.faults and not pd.isna(result.values).all()

"""Numbers, times and tables as people read them: the same in every view of a version."""

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from operations.errors import OperationsError

MINUTE, HOUR, DAY = 60, 3600, 86_400
NONE = "-"
MIN_SHARE = 1e-4
"""Less is a mistake: of a million transactions a day it would be under a hundred."""


def number(value: object) -> str:
    """Whole numbers whole, others with four digits; a dash for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def difference(before: object, after: object) -> str:
    """How much more the second is, with its sign; a dash where one of them is no number."""
    if NONE in (number(before), number(after)):
        return NONE
    change = float(str(after)) - float(str(before))
    return f"{change:+,.0f}" if change.is_integer() else f"{change:+.2g}"


def share(value: object) -> str:
    """0.0183 as 1.83%; a dash for what is no number."""
    return NONE if number(value) == NONE else f"{100 * float(str(value)):.3g}%"


def parse_share(text: str) -> float:
    """5% or 0.05 as 0.05.

    Raises:
        OperationsError: it is no share of the traffic, from MIN_SHARE to all.
    """
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        parsed = float(number) / (100 if percent else 1)
    except ValueError:
        parsed = 0.0
    if not MIN_SHARE <= parsed <= 1:
        raise OperationsError(f"{text} is no share of the traffic; write one like 5% or 0.05")
    return parsed


def parse_time(text: str) -> datetime | None:
    """A moment in ISO 8601, in UTC where it names no offset; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def age(created: str, now: datetime) -> str:
    """How long ago a moment (:func:`parse_time`) was, in its largest unit; a dash if it is none."""
    if (moment := parse_time(created)) is None:
        return NONE
    seconds = max(0, int((now - moment).total_seconds()))
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    size, unit = next((each for each in units if seconds >= each[0]), units[-1])
    return f"{seconds // size} {unit}"


def one_line(value: object) -> str:
    """A setting: a table as its names with their values (seed 1, days 120), a fraction with four digits."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one_line(held)}" for name, held in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def moment(value: object) -> str:
    """A time as the data writes it, to the minute where it is ISO 8601; a dash for none."""
    if isinstance(value, int | float):
        return f"{value:.0f}"
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M}"
    except ValueError:
        return str(value or NONE)


def sections(parts: Mapping[str, RenderableType]) -> Group:
    """Each part under its name, indented."""
    return Group(
        *(Group(Text(name, style="bold"), Padding(part, (0, 0, 1, 2), expand=False)) for name, part in parts.items())
    )


def facts(values: Mapping[str, str]) -> Table:
    """A name and what is to be said of it on each line."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(Text(name), Text(value))
    return table


def columns(first: str, *others: str) -> Table:
    """An empty table whose first column holds names and whose others hold numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(Text(first), overflow="fold")
    for other in others:
        table.add_column(Text(other), justify="right", overflow="fold")
    return table


def metrics(by_period: Mapping[str, Mapping[str, float]]) -> Table:
    """The metrics of a version, a column for each period."""
    table = columns("metric", *by_period)
    for name in dict.fromkeys(name for period in by_period.values() for name in period):
        table.add_row(Text(name), *(number(period.get(name)) for period in by_period.values()))
    return table

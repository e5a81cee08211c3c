"""Numbers as a reader of the report meets them, and text made safe: every text of the data passes `safe`."""

from collections.abc import Mapping
from html import escape
from typing import Any

NONE = "–"  # noqa: RUF001 - an en dash stands for no number.
LARGE = 1000


def safe(value: object) -> str:
    """Text as HTML shows it, whatever is in it."""
    return escape(str(value), quote=True)


def share(value: object) -> str:
    """0.0183 as 1.83%; a dash for none."""
    return NONE if not isinstance(value, int | float) else f"{100 * value:.3g}%" if value < 1 else f"{100 * value:.0f}%"


def number(value: object, digits: int = 3) -> str:
    """A number with so many digits, thousands apart; a dash for none."""
    if not isinstance(value, int | float):
        return NONE
    return f"{value:,.0f}" if abs(value) >= LARGE or float(value).is_integer() else f"{value:.{digits}g}"


def fixed(value: object) -> str:
    """Three decimals, as average precision is written."""
    return f"{value:.3f}" if isinstance(value, int | float) else NONE


def between(interval: object, *, signed: bool = False) -> str:
    """An interval: 0.71 to 0.74."""
    if not isinstance(interval, list):
        return NONE
    return " to ".join(f"{each:+.3f}" if signed else f"{each:.3f}" for each in interval)


def money(value: object, unit: str) -> str:
    """An amount with the column that it is counted in."""
    return f"{number(value, 4)} {safe(unit)}"


def moment(value: object) -> str:
    """A time as the data writes it, to the minute."""
    return safe(str(value)[:16].replace("T", " ")) if value is not None else NONE


def unit(report: Mapping[str, Any]) -> str:
    """What money is counted in."""
    column = report["amount"].get("column")
    return f"(in units of {column})" if column else ""

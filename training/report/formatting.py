"""The report's templates, and their filters: numbers and times as it writes them. A missing value (None) is a dash."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

NONE = "–"  # noqa: RUF001 - an en dash stands for no number.
LARGE = 1000


def share(value: float | None) -> str:
    """0.0183 as 1.83%."""
    if value is None:
        return NONE
    return f"{100 * value:.3g}%" if value < 1 else f"{100 * value:.0f}%"


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` significant digits; from 1,000 on without decimals, thousands separated."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= LARGE or float(value).is_integer() else f"{value:.{digits}g}"


def fixed(value: float | None) -> str:
    """Three decimals, as average precision is written."""
    return NONE if value is None else f"{value:.3f}"


def interval(bounds: Sequence[float] | None, *, signed: bool = False) -> str:
    """An interval: 0.71 to 0.74."""
    if bounds is None:
        return NONE
    return " to ".join(f"{bound:+.3f}" if signed else f"{bound:.3f}" for bound in bounds)


def moment(value: str | None) -> str:
    """An ISO 8601 time to the minute."""
    return NONE if value is None else str(value)[:16].replace("T", " ")


def verdict(difference: Sequence[float] | None) -> str:
    """Which of two models is better, by the interval of their difference; chance explains one that holds zero."""
    if difference is None:
        return "cannot be told apart"
    low, high = difference
    return "this version is better" if low > 0 else "it is better" if high < 0 else "cannot be told apart"


TEMPLATES = Environment(
    loader=PackageLoader("training.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.filters |= {each.__name__: each for each in (share, number, fixed, interval, moment, verdict)}

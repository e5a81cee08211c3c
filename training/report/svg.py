"""Charts as inline SVG: lines over two axes, without a script, a font or an image from elsewhere.

Colours are CSS classes of the page, so that a chart is readable in the dark and in print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from training.report.formatting import TEMPLATES

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 14, 46
"""Room around the drawing, for the axes."""
TICKS = 5
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        low: the value at its beginning, above zero where `log`.
        percent: whether values are shares, written as percentages.
    """

    label: str
    low: float
    high: float
    log: bool = False
    percent: bool = False

    def at(self, value: float) -> float:
        """Where a value stands between 0 and 1; beyond the ends, at them."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = log10(low), log10(high), log10(value)
        return (value - low) / (high - low) if high > low else 0.0

    def ticks(self) -> list[float]:
        """Round values along it."""
        if self.log:
            powers = range(ceil(log10(self.low) - 1e-9), floor(log10(self.high) + 1e-9) + 1)
            return [10.0**power for power in powers]
        step = _step((self.high - self.low) / TICKS)
        first = ceil(self.low / step - 1e-9)
        return [step * count for count in range(first, floor(self.high / step + 1e-9) + 1)]

    def text(self, value: float) -> str:
        """A tick's text."""
        return f"{100 * value:.4g}%" if self.percent else f"{round(value, 10):,g}"


@dataclass(frozen=True, slots=True)
class Line:
    """A series; `style` is the number of its colour, `area` fills it down to the axis, `dots` marks its points."""

    name: str
    points: Sequence[tuple[float, float]]
    style: int = 0
    area: bool = False
    dots: bool = False
    ranges: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line with a word beside it, as for a threshold."""

    name: str
    at: float


def chart(title: str, across: Axis, up: Axis, lines: Sequence[Line], marks: Sequence[Mark] = ()) -> Markup:
    """One chart; `title` is what is read aloud in its place."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    drawing = TEMPLATES.get_template("chart.html").render(
        title=title, across=across, up=up, lines=lines, marks=marks,
        width=WIDTH, height=HEIGHT, left=LEFT, right=right, top=TOP, bottom=bottom,
        x=lambda value: LEFT + across.at(value) * (right - LEFT),
        y=lambda value: bottom - up.at(value) * (bottom - TOP),
    )  # fmt: skip
    return Markup(drawing)  # noqa: S704 - the template escaped each text.


def _step(rough: float) -> float:
    size = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    return next(size * step for step in STEPS if size * step >= rough * (1 - 1e-9)) if rough > 0 else 1.0

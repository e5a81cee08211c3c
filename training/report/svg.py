"""Charts as inline SVG: lines over two axes, without a script, a font or an image from elsewhere.

Colours are CSS classes of the page, so that a chart is readable in the dark and in print.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from markupsafe import Markup

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
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_grid(across, up),
        *(_mark(across, mark, position) for position, mark in enumerate(marks)),
        *(_drawn(line, across, up) for line in lines),
        "</svg>",
    ]
    return Markup("".join(parts) + _legend(lines))  # noqa: S704 - each text in it was escaped where it was put in.


def _step(rough: float) -> float:
    size = 10.0 ** floor(log10(rough)) if rough > 0 else 1.0
    return next(size * step for step in STEPS if size * step >= rough * (1 - 1e-9)) if rough > 0 else 1.0


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.at(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.at(value) * (HEIGHT - TOP - BOTTOM)


def _grid(across: Axis, up: Axis) -> list[str]:
    floor_y, end = HEIGHT - BOTTOM, WIDTH - RIGHT
    result = []
    for value in up.ticks():
        y = _y(up, value)
        result.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{end}"/>')
        result.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{up.text(value)}</text>')
    for value in across.ticks():
        x = _x(across, value)
        result.append(f'<path class="grid" d="M{x:.1f} {TOP}V{floor_y}"/>')
        result.append(
            f'<text class="tick" x="{x:.1f}" y="{floor_y + 17}" text-anchor="middle">{across.text(value)}</text>'
        )
    middle, side = (LEFT + end) / 2, (TOP + floor_y) / 2
    result.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across.label)}</text>'
    )
    turned = f'transform="translate(14 {side}) rotate(-90)"'
    result.append(f'<text class="axis" {turned} text-anchor="middle">{escape(up.label)}</text>')
    return result


def _mark(across: Axis, mark: Mark, position: int) -> str:
    """Words of neighbours stand at different heights, and on the side that has room."""
    x, y = _x(across, mark.at), TOP + 12 + 14 * (position % 6)
    anchor, beside = ("end", x - 5) if across.at(mark.at) > 1 / 2 else ("start", x + 5)
    return (
        f'<path class="mark" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        f'<text class="word" x="{beside:.1f}" y="{y}" text-anchor="{anchor}">{escape(mark.name)}</text>'
    )


def _drawn(line: Line, across: Axis, up: Axis) -> str:
    if not line.points:
        return ""
    positions = [(_x(across, x), _y(up, y)) for x, y in line.points]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in positions)
    floor_y = HEIGHT - BOTTOM
    result = [f'<path class="line s{line.style}" d="{path}"/>']
    if line.area:
        closed = f"{path}L{positions[-1][0]:.1f} {floor_y}L{positions[0][0]:.1f} {floor_y}Z"
        result.insert(0, f'<path class="area s{line.style}" d="{closed}"/>')
    result += [
        f'<path class="line s{line.style}" d="M{x:.1f} {_y(up, low):.1f}V{_y(up, high):.1f}"/>'
        for (x, _), (low, high) in zip(positions, line.ranges, strict=False)
    ]
    if line.dots:
        result += [f'<circle class="dot s{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>' for x, y in positions]
    return "".join(result)


def _legend(lines: Sequence[Line]) -> str:
    """Names of the series, where there are several."""
    named = [line for line in lines if line.name]
    if len(named) < 2:  # noqa: PLR2004 - one series needs no legend.
        return ""
    # The line that counts is drawn last, over the others, and named first.
    ordered = sorted(named, key=lambda line: line.style)
    items = "".join(f'<li><i class="s{line.style}"></i>{escape(line.name)}</li>' for line in ordered)
    return f'<ul class="legend">{items}</ul>'

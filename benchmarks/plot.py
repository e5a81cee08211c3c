"""Bar charts as SVG, without a library: for a page of results, in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL_WIDTH, VALUE_WIDTH = 760, 210, 90
BAR, GAP, TOP = 18, 8, 40
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.own{fill:#2f6fdb}.other{fill:#9aa5b1}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.other{fill:#6e7781}}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `is_own` gives it another colour."""

    label: str
    value: float
    is_own: bool = False


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars, each with its label and its number, on a scale that begins at 0."""
    height = TOP + len(bars) * (BAR + GAP)
    scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(bar.value for bar in bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<text x="0" y="20" font-weight="600">{escape(title)}</text>',
    ]
    for position, bar in enumerate(bars):
        top, length = TOP + position * (BAR + GAP), max(bar.value * scale, 1.0)
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{top + 14}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="{"own" if bar.is_own else "other"}" x="{LABEL_WIDTH}" y="{top}" width="{length:.1f}" '
            f'height="{BAR}" rx="2"/>',
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{top + 14}">{bar.value:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"

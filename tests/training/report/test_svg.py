from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.svg import Axis, Line, Mark, chart

HOSTILE = '</text><script>alert("1")</script>&'


class Words(HTMLParser):
    """Collects the tags and the texts of a drawing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_chart_is_well_formed_whatever_its_words_are() -> None:
    """Names that look like markup are text."""
    axis = Axis(HOSTILE, 0, 1, percent=True)
    lines = [Line(HOSTILE, [(0, 0), (1, 1)]), Line("b", [(0, 1)], 1, dots=True, ranges=[(0.5, 1)])]
    drawn = chart(HOSTILE, axis, axis, lines, [Mark(HOSTILE, 0.5)])
    found = Words()
    found.feed(drawn)
    assert "script" not in found.tags
    assert HOSTILE in found.words


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_ticks_lie_on_the_axis_and_are_few(low: float, length: float) -> None:
    """A few round values, none beyond the ends."""
    axis = Axis("", low, low + length)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 12
    slack = (axis.high - axis.low) * 1e-5
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)


@given(st.floats(1e-6, 1), st.floats(-10, 10))
def test_values_beyond_an_axis_stand_at_its_ends(low: float, value: float) -> None:
    """Nothing is drawn outside the chart, on a logarithmic axis either."""
    for axis in (Axis("", low, 10, log=True), Axis("", low, 10)):
        assert 0 <= axis.at(value) <= 1


def test_an_axis_without_length_is_drawn() -> None:
    """A curve of one point has a chart."""
    axis = Axis("", 0.5, 0.5, log=True)
    assert axis.at(0.5) == 0.0
    axis = Axis("", 0.5, 0.5)
    assert chart("", axis, axis, [Line("", [(0.5, 0.5)])])


@pytest.mark.parametrize(("value", "text"), [(0.001, "0.1%"), (1.0, "100%"), (0.0, "0%")])
def test_shares_are_written_as_percentages(value: float, text: str) -> None:
    """A tick of a share is what people call it."""
    assert Axis("", 0, 1, percent=True).text(value) == text

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.ranges import Ranges, extremes, sums

NUMBERS = st.integers(-(10**6), 10**6).map(lambda number: number / 4)
"""Their sums are exact in any order."""


@st.composite
def places(draw: st.DrawFn, size: int) -> Ranges:
    """Any ranges of an array, empty and turned ones too."""
    starts = draw(st.lists(st.integers(0, size), max_size=20))
    stops = [draw(st.integers(0, size)) for _ in starts]
    return Ranges(np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64))


@given(st.data(), st.lists(st.floats(allow_nan=False), max_size=70))
def test_an_extreme_is_the_largest_of_its_range(data: st.DataObject, values: list[float]) -> None:
    """Of each range the maximum is found; of one without places the value of none."""
    ranges = data.draw(places(len(values)))
    result = extremes(np.maximum, np.array(values, dtype=np.float64), ranges, -math.inf)
    pairs = zip(ranges.start.tolist(), ranges.stop.tolist(), strict=True)
    assert result.tolist() == [max(values[start:stop], default=-math.inf) for start, stop in pairs]


@given(st.data(), st.lists(st.integers(0, 2**64 - 1), max_size=70))
def test_a_union_is_of_all_bits_in_its_range(data: st.DataObject, values: list[int]) -> None:
    """Bits of 64 are united without a loss of the highest."""
    ranges = data.draw(places(len(values)))
    result = extremes(np.bitwise_or, np.array(values, dtype=np.uint64), ranges, 0)
    for start, stop, union in zip(ranges.start.tolist(), ranges.stop.tolist(), result.tolist(), strict=True):
        expected = 0
        for value in values[start:stop]:
            expected |= value
        assert union == expected


@pytest.mark.parametrize("shape", [(0,), (3, 0), (2, 3)])
def test_the_result_has_the_shape_of_the_ranges(shape: tuple[int, ...]) -> None:
    """Ranges may have any shape, none at all too, and so have the values."""
    ranges = Ranges(np.zeros(shape, dtype=np.int64), np.full(shape, 3, dtype=np.int64))
    assert extremes(np.maximum, np.arange(5.0), ranges, -math.inf).shape == shape
    assert sums(np.ones((5, 2)), ranges).shape == (*shape, 2)


@given(st.data(), st.lists(st.tuples(NUMBERS, NUMBERS), max_size=70))
def test_a_sum_is_that_of_its_range(data: st.DataObject, values: list[tuple[float, float]]) -> None:
    """Each field of a range is summed; what is empty, or turned, is nothing."""
    ranges = data.draw(places(len(values)))
    result = sums(np.array(values, dtype=np.float64).reshape(-1, 2), ranges)
    pairs = zip(ranges.start.tolist(), ranges.stop.tolist(), strict=True)
    assert result.tolist() == [
        [sum(value[field] for value in values[start:stop]) for field in (0, 1)] for start, stop in pairs
    ]


@given(st.data(), st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=70))
def test_a_sum_is_of_its_range_alone(data: st.DataObject, values: list[float]) -> None:
    """To the last bit it is that of the range cut out: nothing around it, however large, leaves a trace."""
    array, ranges = np.array(values)[:, None], data.draw(places(len(values)))
    for start, stop, total in zip(ranges.start, ranges.stop, sums(array, ranges)[:, 0], strict=True):
        cut, as_many = array[start:stop], np.zeros_like(ranges.start)
        assert total == sums(cut, Ranges(as_many, as_many + len(cut)))[0, 0]


@given(st.lists(st.floats(0, 1e300), max_size=200))
def test_a_sum_is_exact_to_rounding(values: list[float]) -> None:
    """Of numbers of one sign it is within a few units in the last place."""
    result = sums(np.array(values)[:, None], Ranges(np.array([0]), np.array([len(values)])))[0, 0]
    assert math.isclose(result, math.fsum(values), rel_tol=1e-14, abs_tol=5e-324)


@given(st.data(), st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=70))
def test_a_sum_does_not_depend_on_how_many_there_are(data: st.DataObject, values: list[float]) -> None:
    """Few ranges are added up one by one and many at once, to the same last bit."""
    array, ranges = np.array(values)[:, None], data.draw(places(len(values)))
    together = sums(array, Ranges(np.resize(ranges.start, 60), np.resize(ranges.stop, 60)))
    for place in range(len(ranges.start)):
        alone = sums(array, Ranges(ranges.start[place : place + 1], ranges.stop[place : place + 1]))
        assert alone.tolist() == together[place : place + 1].tolist()

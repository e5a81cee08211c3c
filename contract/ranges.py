"""Sums and extremes over many ranges of one array at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Ranges start <= place < stop of an array; both have the same shape, any. An empty one has start >= stop."""

    start: Places
    stop: Places


def running(values: NDArray[np.float64], segments: Places) -> NDArray[np.float64]:
    """Totals of which two give the sum of a range: shape (values + 1, fields) of values of shape (values, fields).

    Over the whole array a running total would lose a small sum among large ones, so it is taken back to nothing at
    the last place of each segment, which must be in no range; `segments` are the places that begin one.
    """
    totals = np.zeros((len(values) + 1, values.shape[1]))
    if len(values):
        level = totals[1:]
        level[:] = values
        lasts = np.concatenate((segments[1:], [len(values)])) - 1
        level[lasts] -= np.add.reduceat(values, segments)
        np.cumsum(level, axis=0, out=level)
    return totals


def between(totals: NDArray[np.float64], ranges: Ranges) -> NDArray[np.float64]:
    """The sums of each range, by the totals that :func:`running` made: shape (*ranges, fields)."""
    return totals[np.maximum(ranges.stop, ranges.start)] - totals[ranges.start]


def extremes(
    operation: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
    values: NDArray[Any],
    ranges: Ranges,
    of_none: float,
) -> NDArray[Any]:
    """The maximum of each range, or what another operation with f(x, x) = x makes of it; `of_none` of an empty one.

    Two overlapping spans of a power of two cover each range: after step s, place p of `spans` holds the result of
    values[p : p + 2**s].
    """
    found = np.full(ranges.start.shape, of_none, dtype=values.dtype)
    steps = _steps(ranges)
    spans = values
    for step in range(int(steps.max(initial=-1)) + 1):
        if step:
            half = 1 << (step - 1)
            spans = operation(spans[:-half], spans[half:])
        here = steps == step
        found[here] = operation(spans[ranges.start[here]], spans[ranges.stop[here] - (1 << step)])
    return found


def _steps(ranges: Ranges) -> Places:
    """The largest power of two in each range's length, as its exponent; -1 for an empty range."""
    _, exponents = np.frexp(np.maximum(ranges.stop - ranges.start, 0).astype(np.float64))
    return np.asarray(exponents, dtype=np.int64) - 1

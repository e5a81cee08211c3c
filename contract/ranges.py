"""Sums and extremes over many ranges of one array at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Ranges start <= place < stop of an array, shape (ranges,) each; an empty one has start >= stop."""

    start: Places
    stop: Places


def sums(values: NDArray[Any], segments: Places, ranges: Ranges) -> NDArray[Any]:
    """The sum of each range. No range holds the last place of its segment; `segments` are the places that begin one.

    A running total over the whole array would lose a small sum among large ones, so it is taken back to nothing at
    the end of each segment; the place where that is done is in no range.
    """
    running = np.zeros(len(values) + 1, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    if len(values):
        level = values.astype(running.dtype)
        level[np.append(segments[1:], len(values)) - 1] -= np.add.reduceat(level, segments)
        np.cumsum(level, out=running[1:])
    found: NDArray[Any] = running[ranges.stop] - running[ranges.start]
    found[ranges.start >= ranges.stop] = 0
    return found


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
    found = np.full(len(ranges.start), of_none, dtype=values.dtype)
    steps = _steps(ranges)
    spans = values
    for step in range(int(steps.max(initial=-1)) + 1):
        if step:
            half = 1 << (step - 1)
            spans = operation(spans[:-half], spans[half:])
        here = np.flatnonzero(steps == step)
        found[here] = operation(spans[ranges.start[here]], spans[ranges.stop[here] - (1 << step)])
    return found


def _steps(ranges: Ranges) -> Places:
    """The largest power of two in each range's length, as its exponent; -1 for an empty range."""
    _, exponents = np.frexp(np.maximum(ranges.stop - ranges.start, 0).astype(np.float64))
    return np.asarray(exponents, dtype=np.int64) - 1

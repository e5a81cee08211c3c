"""Sums and extremes over many ranges of one array at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
MAX_SINGLE_RANGES = 12
"""Up to which each range is reduced by itself: for one transaction that takes a fifth of the time."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Ranges start <= place < stop of an array; both have the same shape, any. An empty one has start >= stop."""

    start: Places
    stop: Places


def counts(values: NDArray[np.int64], ranges: Ranges) -> NDArray[np.float64]:
    """The sum of each range of whole numbers: shape (*ranges, fields) of values of shape (values, fields)."""
    totals = np.zeros((values.shape[1], len(values) + 1), dtype=np.int64)
    values.T.cumsum(axis=1, out=totals[:, 1:])
    lengths = np.maximum(ranges.stop, ranges.start)
    return np.stack([(total[lengths] - total[ranges.start]).astype(np.float64) for total in totals], axis=-1)


def sums(values: NDArray[np.float64], ranges: Ranges) -> NDArray[np.float64]:
    """The sum of each range: shape (*ranges, fields) of values of shape (values, fields).

    Spans of powers of two, side by side, make up each range. Nothing outside a range is added and taken away again, as
    with the differences of a running total, in which one huge number would drown all that comes after it. And a range
    has the same sum, to the last bit, however many others there are.
    """
    if ranges.start.size <= MAX_SINGLE_RANGES:
        few = [_sum(values[start:stop]) for start, stop in _each(ranges)]
        return np.array(few).reshape(*ranges.start.shape, values.shape[1])
    return np.stack([_sums(each, ranges) for each in np.ascontiguousarray(values.T)], axis=-1)


def _sum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of all values, shape (fields,), in the order in which `_sums` adds those of a range."""
    result, begin, length = np.zeros(values.shape[1]), 0, 1
    while length <= len(values):
        if len(values) & length:
            span = values[begin : begin + length]
            while len(span) > 1:
                span = span[0::2] + span[1::2]
            result += span[0]
            begin += length
        length *= 2
    return result


def _sums(values: NDArray[np.float64], ranges: Ranges) -> NDArray[np.float64]:
    """As `sums`, of one field."""
    lengths: Places = np.maximum(ranges.stop - ranges.start, 0)
    places, result = ranges.start, np.zeros(lengths.shape)
    spans = np.append(values, 0.0)  # The last one is what a range adds that has no span of this length.
    step, longest = 0, int(lengths.max(initial=0))
    while longest >> step:
        if step:
            half, size = 1 << (step - 1), len(values) + 1 - (1 << step)
            spans, shorter = np.zeros(size + 1), spans
            np.add(shorter[:size], shorter[half : half + size], out=spans[:size])
        has_span = lengths & (1 << step)
        result += spans.take(np.where(has_span, places, len(spans) - 1))
        places = places + has_span
        step += 1
    return result


def extremes(
    operation: np.ufunc,
    values: NDArray[Any],
    ranges: Ranges,
    of_none: float,
) -> NDArray[Any]:
    """The maximum of each range, or what another operation with f(x, x) = x makes of it; `of_none` of an empty one.

    Two overlapping spans of a power of two cover each range: after step s, place p of `spans` holds the result of
    values[p : p + 2**s].
    """
    result = np.full(ranges.start.shape, of_none, dtype=values.dtype)
    if ranges.start.size <= MAX_SINGLE_RANGES:
        for place, (start, stop) in enumerate(_each(ranges)):
            if start < stop:
                result.flat[place] = operation.reduce(values[start:stop])
        return result
    steps, spans = _steps(ranges).ravel(), values
    starts, stops = ranges.start.ravel(), ranges.stop.ravel()
    for step in range(int(steps.max(initial=-1)) + 1):
        if step:
            half = 1 << (step - 1)
            spans = operation(spans[:-half], spans[half:])
        chosen = np.flatnonzero(steps == step)
        result.ravel()[chosen] = operation(spans.take(starts[chosen]), spans.take(stops[chosen] - (1 << step)))
    return result


def _each(ranges: Ranges) -> Iterator[tuple[int, int]]:
    return zip(ranges.start.ravel().tolist(), ranges.stop.ravel().tolist(), strict=True)


def _steps(ranges: Ranges) -> Places:
    """The largest power of two in each range's length, as its exponent; -1 for an empty range."""
    _, exponents = np.frexp(np.maximum(ranges.stop - ranges.start, 0).astype(np.float64))
    return np.asarray(exponents, dtype=np.int64) - 1

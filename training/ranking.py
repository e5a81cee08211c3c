"""Rows from the highest score to the lowest: what precision, recall and their bootstrap samples are counted on.

A row may stand for several (`weights`), as where only a tenth of the genuine rows was kept. Bootstrap samples are drawn
of rows, which count as independent; frauds on one card come in bursts, so the truth is a little noisier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]

RESAMPLES = 200
TAIL = 0.025
"""Share of the resamples below, and above, an interval: 95% lie within."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows in order of their scores, so that a resample need not be sorted again.

    Attributes:
        order: positions of the rows, the highest score first; shape (rows,).
        fraud: 1 or 0, in this order.
        ends: where in this order each distinct score ends: rows of one score are flagged together.
        scores: the distinct scores, the highest first.
    """

    order: NDArray[np.int64]
    fraud: Floats
    ends: NDArray[np.int64]
    scores: NDArray[Any]

    @classmethod
    def of(cls, labels: Labels, scores: NDArray[Any]) -> Self:
        """Ranks rows with these labels and scores, shape (rows,) each, at least one."""
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        return cls(order, labels[order].astype(np.float64), ends, scores[order[ends]])

    def cumulative_counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Rows flagged, and frauds among them, at each distinct score, the highest first."""
        ranked = weights[self.order]
        return np.cumsum(ranked)[self.ends], np.cumsum(ranked * self.fraud)[self.ends]

    def lowest(self, good: Labels) -> float | None:
        """The lowest of those distinct scores that are good; None where none is."""
        return float(self.scores[good][-1]) if good.any() else None

    def average_precision(self, weights: Floats) -> float:
        """Average precision with these weights of the rows; NaN where no fraud has a weight."""
        flagged, caught = self.cumulative_counts(weights)
        gained = np.diff(caught, prepend=0)
        used = gained > 0
        if not used.any():
            return float("nan")
        return float(np.sum(gained[used] * (caught[used] / flagged[used])) / caught[-1])


class Interval(NamedTuple):
    """Where all but the lowest and the highest fortieth of the resamples lie."""

    low: float
    high: float


def intervals(
    rankings: Sequence[Ranking], weights: Floats, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[list[Interval], list[Interval]]:
    """The intervals of each ranking's average precision, and of the first one's less each other's (paired).

    All are measured on the same resamples of the rows; those without a fraud are left out. Deterministic.
    """
    result = resampled(rankings, weights, np.random.default_rng(seed), resamples)
    result = result[~np.isnan(result).any(axis=1)]
    if not len(result):
        return [], []
    lead = result[:, :1] - result[:, 1:]
    return [_interval(values) for values in result.T], [_interval(values) for values in lead.T]


def resampled(rankings: Sequence[Ranking], weights: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """Average precision of each ranking on bootstrap samples of the rows; shape (resamples, rankings)."""
    rows, result = len(weights), np.empty((resamples, len(rankings)))
    for position in range(resamples):
        counted = weights * np.bincount(rng.integers(rows, size=rows), minlength=rows)
        result[position] = [ranking.average_precision(counted) for ranking in rankings]
    return result


def _interval(values: Floats) -> Interval:
    return Interval(*np.quantile(values, (TAIL, 1 - TAIL)).tolist())

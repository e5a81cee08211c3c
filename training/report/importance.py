"""Feature importance by permutation: what is lost when a column's values are dealt out among the rows at random.

Features of one column are shuffled together, and so is all history of one entity: half of a column's features would
tell what the other half lost. It says what this version leans on, not what causes fraud; of two columns that tell the
same either may look unimportant.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract
from training.ranking import Ranking
from training.report.subject import Subject

MOST_ROWS = 20_000
REPEATS, MANY_GROUPS = 3, 40
"""Shuffles of each group; a single one from MANY_GROUPS groups on."""


def groups(contract: Contract) -> dict[str, list[int]]:
    """Positions of the features in the matrix by what they are made of: a column, or the past of an entity."""
    pasts = {window.name: f"history of {window.entity}" for window in contract.history}
    result: dict[str, list[int]] = {}
    for place, feature in enumerate(contract.features):
        result.setdefault(pasts.get(feature.column, feature.column), []).append(place)
    return result


def importance(subject: Subject, seed: int = 0) -> list[dict[str, Any]]:
    """Average precision lost by each group on the test rows, the greatest loss first; the same each time."""
    draw = np.random.default_rng(seed)
    rows, weights = _drawn(subject, draw)
    matrix, labels = subject.test.matrix[rows], subject.test.labels[rows]
    whole = Ranking.of(labels, subject.scores(matrix)).average_precision(weights)
    result = groups(subject.contract)
    repeats = 1 if len(result) >= MANY_GROUPS else REPEATS
    lost = {
        name: [whole - _shuffled(subject, (matrix, labels, weights), places, draw) for _ in range(repeats)]
        for name, places in result.items()
    }
    return _told(lost)


def _told(lost: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    means = sorted(lost, key=lambda name: -float(np.mean(lost[name])))
    return [
        {"name": name, "lost": float(np.mean(lost[name])), "low": min(lost[name]), "high": max(lost[name])}
        for name in means
    ]


def _shuffled(
    subject: Subject,
    rows: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]],
    places: list[int],
    draw: np.random.Generator,
) -> float:
    matrix, labels, weights = rows
    dealt = matrix.copy()
    dealt[:, places] = matrix[draw.permutation(len(matrix))][:, places]
    return Ranking.of(labels, subject.scores(dealt)).average_precision(weights)


def _drawn(subject: Subject, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The test rows, or half of MOST_ROWS of each class of a larger test, weighted as if all were there."""
    labels, chosen = subject.test.labels, []
    weights = subject.test.weights.astype(np.float64).copy()
    most = len(labels) if len(labels) <= MOST_ROWS else MOST_ROWS // 2
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        some = rows if len(rows) <= most else np.sort(draw.choice(rows, most, replace=False))
        weights[some] *= len(rows) / max(1, len(some))
        chosen.append(some)
    places = np.concatenate(chosen)
    return places, weights[places]

"""Feature importance by permutation: what is lost when a column's values are dealt out among the rows at random.

Features of one column are shuffled together, and so is all history of one entity: half of a column's features would
tell what the other half lost. It says what this version leans on, not what causes fraud; of two columns that tell the
same either may look unimportant.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract
from training.ranking import Ranking
from training.report.subject import Subject

MAX_ROWS = 20_000
REPEATS, MANY_GROUPS = 3, 40
"""Shuffles of each group; a single one from MANY_GROUPS groups on."""


def groups(contract: Contract) -> dict[str, list[int]]:
    """Positions of the features in the matrix by what they are made of: a column, or the past of an entity."""
    pasts = {window.name: f"history of {window.entity}" for window in contract.history}
    result: dict[str, list[int]] = {}
    for position, feature in enumerate(contract.features):
        result.setdefault(pasts.get(feature.column, feature.column), []).append(position)
    return result


def importance(subject: Subject, seed: int = 0) -> list[dict[str, Any]]:
    """Average precision lost by each group on the test rows, the greatest loss first; the same each time."""
    rng = np.random.default_rng(seed)
    rows, weights = _sample(subject, rng)
    matrix, labels = subject.test.matrix[rows], subject.test.labels[rows]
    whole = Ranking.of(labels, subject.scores(matrix)).average_precision(weights)
    features = groups(subject.contract)
    repeats = 1 if len(features) >= MANY_GROUPS else REPEATS
    lost = {
        name: [whole - _shuffled(subject, (matrix, labels, weights), positions, rng) for _ in range(repeats)]
        for name, positions in features.items()
    }
    result = [
        {"name": name, "lost": float(np.mean(values)), "low": min(values), "high": max(values)}
        for name, values in lost.items()
    ]
    return sorted(result, key=lambda group: -group["lost"])


def _shuffled(
    subject: Subject,
    rows: tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]],
    positions: list[int],
    rng: np.random.Generator,
) -> float:
    matrix, labels, weights = rows
    shuffled = matrix.copy()
    shuffled[:, positions] = matrix[rng.permutation(len(matrix))][:, positions]
    return Ranking.of(labels, subject.scores(shuffled)).average_precision(weights)


def _sample(subject: Subject, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The test rows, or half of MAX_ROWS of each class of a larger test, weighted as if all were there."""
    labels, chosen = subject.test.labels, []
    weights = subject.test.weights.astype(np.float64).copy()
    most = len(labels) if len(labels) <= MAX_ROWS else MAX_ROWS // 2
    for rows in (np.flatnonzero(labels), np.flatnonzero(~labels)):
        some = rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
        weights[some] *= len(rows) / max(1, len(some))
        chosen.append(some)
    positions = np.concatenate(chosen)
    return positions, weights[positions]

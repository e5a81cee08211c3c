"""Label leakage: columns that were made from the label, searched for one by one before a training.

A column leaks where it alone ranks the training rows almost perfectly: its numbers upwards or downwards, empty cells
first or last; its words by the share of frauds that they have in the other half of the rows. Measured (LOG.md), the
best honest column of the simulator reaches an average precision of 0.43, of the Handbook 0.26, of the cards 0.84;
a scenario number, a weight or a copy of the label with noise 0.90 to 1.

Where frauds are rare, a copy of the label that is wrong in one row of a hundred has a low average precision all the
same: what flags nearly all frauds and hardly anything else with a few different values is a leak too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.schema import Column, Contract, Kind
from training.data import LabelledTransactions
from training.errors import TrainingError
from training.ranking import Labels, Ranking

PRECISION = 0.9
"""The average precision from which a column alone is a leak."""
SEPARATION = 0.95
"""The separation from which a column of few values is a leak: the share of frauds that a value flags, less the
share of the others."""
FEW_VALUES = 12
MIN_FRAUDS = 10
"""In the training rows: of fewer, a column may tell all by chance."""
MAX_GENUINE_ROWS = 200_000
"""At most this many genuine rows are sampled, with weights; all frauds are used."""
CHECKED_KINDS = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.TIMESTAMP, Kind.ENTITY})


@dataclass(frozen=True, slots=True)
class ColumnScore:
    """How well one column alone ranks the training rows.

    Attributes:
        precision: the average precision of ranking by it.
        separation: the largest difference between the shares of frauds and of others that a bound on it flags.
        values: how many different values it has.
    """

    column: str
    precision: float
    separation: float
    values: int

    @property
    def leaks(self) -> bool:
        """Whether it was probably made from the label."""
        return self.precision >= PRECISION or (self.values <= FEW_VALUES and self.separation >= SEPARATION)

    def __str__(self) -> str:
        return f"{self.column} (average precision {self.precision:.3f}, separation {self.separation:.3f})"


def check_leaks(
    contract: Contract, data: LabelledTransactions, period: slice, allowed: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Looks for leaks in the rows of a period; returns notes on those that are allowed.

    Raises:
        TrainingError: there are others, or an allowed name is no column of the contract.
    """
    if unknown := sorted(set(allowed) - contract.names):
        raise TrainingError(f"--allow-leak names what is no column of the schema: {', '.join(unknown)}.")
    result = [score for score in score_columns(contract, data, period) if score.leaks]
    if bad := [score for score in result if score.column not in allowed]:
        raise TrainingError(_refusal(bad))
    return tuple(f"It tells the label almost alone and was allowed: {score}." for score in result)


def score_columns(contract: Contract, data: LabelledTransactions, period: slice) -> Iterator[ColumnScore]:
    """The score of each column, in the contract's order; none where there are too few frauds."""
    labels = data.labels[period]
    if labels.sum() < MIN_FRAUDS or labels.all():
        return
    rows, weights = _sample(labels)
    weights = weights * data.row_weights[period][rows]
    for column in (column for column in contract.columns if column.kind in CHECKED_KINDS):
        values = data.table.columns[column.name][period][rows]
        yield _score_column(column, values, labels[rows], weights)


def _refusal(result: list[ColumnScore]) -> str:
    columns = [f'"{score.column}"' if " " in score.column else score.column for score in result]
    names = " ".join(f"--allow-leak {column}" for column in columns)
    return (
        f"A leak: alone, {', '.join(map(str, result))} tells the label of the training rows, so it was probably made "
        "from it, or after it, and the model would only repeat it. Take it out of the schema; or, if it is really "
        f'known when a transaction is scored, train with {names}, or write leak = "allow" below it in the schema. What '
        'says how many transactions a row stands for has kind = "weight".'
    )


def _sample(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions of all frauds and of MAX_GENUINE_ROWS others over the whole period, and the weight of each."""
    genuine = np.flatnonzero(~labels)
    some = genuine[np.linspace(0, len(genuine) - 1, min(len(genuine), MAX_GENUINE_ROWS)).round().astype(np.int64)]
    rows = np.sort(np.concatenate([np.flatnonzero(labels), some]))
    return rows, np.where(labels[rows], 1.0, len(genuine) / len(some))


def _score_column(column: Column, values: NDArray[Any], labels: Labels, weights: NDArray[np.float64]) -> ColumnScore:
    numbers = column.kind in {Kind.NUMBER, Kind.TIMESTAMP}
    codes, distinct = pd.factorize(values, sort=numbers)
    filled, size = np.where(codes < 0, len(distinct), codes), len(distinct) + 1
    scores: list[NDArray[Any]] = list(_ordered(codes, filled)) if numbers else []
    if not numbers or size <= FEW_VALUES:
        scores.append(_by_share(filled, size, labels, weights))
    result = [_measured(labels, score, weights) for score in scores]
    return ColumnScore(column.name, max(ap for ap, _ in result), max(gap for _, gap in result), len(distinct))


def _ordered(codes: NDArray[np.int64], filled: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Upwards and downwards; where cells are empty, with these before all others and behind them."""
    for ranks in (codes,) if np.array_equal(codes, filled) else (codes, filled):
        yield from (ranks, -ranks)


def _by_share(codes: NDArray[np.int64], size: int, labels: Labels, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row's score is the share of frauds that its value has in the other half of the rows.

    In its own half a value that appears once would tell its own row's label.
    """
    usual, score = float(np.average(labels, weights=weights)), np.empty(len(codes))
    odd = np.arange(len(codes)) % 2 == 1
    for half in (odd, ~odd):
        rows = np.bincount(codes[~half], weights=weights[~half], minlength=size)
        frauds = np.bincount(codes[~half], weights=(weights * labels)[~half], minlength=size)
        score[half] = ((frauds + usual) / (rows + 1))[codes[half]]
    return score


def _measured(labels: Labels, score: NDArray[Any], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Average precision and separation."""
    ranking = Ranking.of(labels, score)
    flagged, caught = ranking.cumulative_counts(weights)
    others = flagged - caught
    separation = np.max(caught / caught[-1] - others / others[-1])
    return ranking.average_precision(weights), float(separation)

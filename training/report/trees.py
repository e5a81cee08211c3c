"""LightGBM as good as it gets without a search: the baseline of reports and benchmarks.

They stop on the log loss of the validation rows, and take as many bins as validate better by it. Average precision
stopped after three trees where 84 frauds told it (.435 on the cards' test, with the log loss .785); the usual 255 bins
lose 0.03 to 0.10 where amounts have a long tail, and fine ones overfit where frauds are few; there one seed's trees
have .66 and another's .80, so several are averaged (LOG.md). lightgbm is imported here, when trees are wanted, and
nowhere before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.loop import Examples
from training.report.subject import PeriodRows

LabelledMatrix = Examples | PeriodRows
"""The rows of a period: a float32 matrix of shape (rows, columns), labels and weights."""

SETTINGS = {
    "objective": "binary", "metric": "binary_logloss", "learning_rate": 0.05, "num_leaves": 15,
    "min_data_in_leaf": 20, "lambda_l2": 1.0, "feature_fraction": 0.8,
    "bagging_fraction": 0.8, "bagging_freq": 1, "num_threads": 1, "seed": 0,
    "deterministic": True, "force_col_wise": True, "verbosity": -1,
}  # fmt: skip
BINS = (255, 8191)
MIN_PROBABILITY = 1e-15
"""A probability that is lower counts as this."""
ROUNDS, EARLY_STOPPING_ROUNDS = 2000, 50
UNVALIDATED_ROUNDS = 200
"""Rounds where the validation rows cannot tell when to stop; the bins are the finest then."""


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees that were grown, and how: `loss` is the log loss of the validation rows, infinite where it says nothing."""

    booster: Any
    bins: int
    rounds: int
    loss: float

    def logits(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Log-odds, shape (rows,)."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_iteration=self.rounds), dtype=np.float64)

    def __str__(self) -> str:
        return f"{self.bins:,} bins and {self.rounds} rounds"


def averaged(grown: Sequence[Trees], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    """The log-odds of the mean probability of several trees, shape (rows,)."""
    mean = np.mean([1 / (1 + np.exp(-trees.logits(matrix))) for trees in grown], axis=0)
    inside = np.clip(mean, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    result: NDArray[np.float64] = np.log(inside / (1 - inside))
    return result


def grow(train: LabelledMatrix, validation: LabelledMatrix, codes: Sequence[int] = (), **others: float) -> Trees:
    """The trees of one seed that validate best.

    Args:
        train: what they learn from.
        validation: what they stop on.
        codes: the columns of the matrix that hold a category's codes.
        others: settings of LightGBM that take the place of SETTINGS, `seed` and `num_threads` among them.

    Raises:
        TrainingError: lightgbm is not installed.
    """
    settings = SETTINGS | others
    grown = [_grown(train, validation, list(codes), settings | {"max_bin": bins}) for bins in BINS]
    return min(reversed(grown), key=lambda trees: trees.loss)


def _grown(train: LabelledMatrix, validation: LabelledMatrix, codes: list[int], settings: dict[str, Any]) -> Trees:
    lightgbm = _library()
    labels, judged = train.labels.astype(float), validation.labels.astype(float)
    data = lightgbm.Dataset(train.matrix, labels, weight=train.weights, categorical_feature=codes, params=settings)
    if not validation.both_classes:
        return Trees(
            lightgbm.train(settings, data, UNVALIDATED_ROUNDS), settings["max_bin"], UNVALIDATED_ROUNDS, np.inf
        )
    against = data.create_valid(validation.matrix, judged, weight=validation.weights)
    stopping = lightgbm.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)
    booster = lightgbm.train(settings, data, ROUNDS, valid_sets=[against], callbacks=[stopping])
    loss = float(booster.best_score["valid_0"]["binary_logloss"])
    return Trees(booster, settings["max_bin"], booster.best_iteration or booster.current_iteration(), loss)


def _library() -> Any:  # noqa: ANN401 - lightgbm, typed as the module of an extra.
    try:
        import lightgbm  # noqa: PLC0415 - a second to import, and only who wants trees needs it.
    except ImportError:
        raise TrainingError("The comparison needs lightgbm: install the extra `training`, or leave it out.") from None
    return lightgbm

"""The baselines of a report: gradient-boosted trees and a logistic regression, on the same rows and features.

Both learn from the training period, are chosen and calibrated on the validation period, and measured on the test, as
the network is. How the trees are grown is described in `training.report.trees`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from contract.features import FIRST_VALUE
from contract.schema import Contract, FeatureKind
from training.evaluation import Scores, calibrate
from training.report.subject import PeriodRows, Subject
from training.report.trees import averaged, grow

SEEDS = 3
"""Number of seeds whose trees are averaged: the quality of one seed's trees is chance where frauds are few."""
MAX_DEVIATION = 20.0
"""Standard deviations from the mean that a number counts at most, as in the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Another model's calibrated probabilities of the test rows, and how it was made."""

    name: str
    made: str
    scores: Scores


def reason_left_out(subject: Subject) -> str | None:
    """Why no baseline can be trained; None where they can."""
    if subject.train is None or subject.validation is None:
        return "the file does not hold the rows that the version was trained and validated on"
    if not subject.train.both_classes:
        return "the rows of the training period in this file hold one class only"
    return None


def train_baselines(subject: Subject, threads: int = 1, seed: int = 0) -> list[Baseline]:
    """The trees and the regression.

    Raises:
        TrainingError: lightgbm is not installed.
    """
    train, validation, test = subject.train, subject.validation, subject.test
    assert train is not None and validation is not None  # noqa: S101, PT018 - as left_out says; mypy cannot see it.
    codes = [
        position for position, feature in enumerate(subject.contract.features) if feature.kind is FeatureKind.CATEGORY
    ]
    grown = [grow(train, validation, codes, num_threads=threads, seed=seed + each) for each in range(SEEDS)]
    regression = _regression(subject.contract, train)
    made = f"LightGBM, the mean of {SEEDS} seeds ({', '.join(map(str, grown))}, chosen on the validation period)"
    return [
        Baseline("gradient-boosted trees", made, _calibrated(partial(averaged, grown), validation, test)),
        Baseline(
            "logistic regression", "scikit-learn, standardised columns", _calibrated(regression, validation, test)
        ),
    ]


Logits = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def _calibrated(logits: Logits, validation: PeriodRows, test: PeriodRows) -> Scores:
    """Probabilities by the calibration that the network gets too."""
    weights = validation.weights.astype(np.float32)
    result = calibrate(logits(validation.matrix).astype(np.float32), validation.labels, weights)
    with np.errstate(over="ignore"):
        scores: Scores = (1 / (1 + np.exp(-(result.slope * logits(test.matrix) + result.intercept)))).astype(np.float32)
    return scores


def _regression(contract: Contract, train: PeriodRows) -> Logits:
    """Log-odds by a ridge-penalised logistic regression on standardised numbers, missing flags and one-hot codes."""
    design = _Design.of(contract, train.matrix)
    # Newton's steps: a few passes over many rows of few columns, where L-BFGS needs hundreds.
    model = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=100)
    fitted = model.fit(design.of_rows(train.matrix), train.labels, sample_weight=train.weights)
    return lambda matrix: np.asarray(fitted.decision_function(design.of_rows(matrix)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """How the matrix becomes one without holes and codes, measured on the training rows."""

    numbers: NDArray[np.int64]
    codes: dict[int, int]
    middle: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def of(cls, contract: Contract, matrix: NDArray[np.float32]) -> "_Design":
        known = {column.name: FIRST_VALUE + len(column.values) for column in contract.columns}
        kinds = list(enumerate(contract.features))
        codes = {position: known[feature.column] for position, feature in kinds if feature.kind is FeatureKind.CATEGORY}
        numbers = np.array([position for position, _ in kinds if position not in codes], dtype=np.int64)
        values = matrix[:, numbers].astype(np.float64)
        filled = np.isfinite(values)
        middle = np.array([np.median(column[ok]) if ok.any() else 0.0 for column, ok in zip(values.T, filled.T)])  # noqa: B905
        values = np.where(filled, values, middle)
        scale = values.std(axis=0)
        measured = (middle, values.mean(axis=0), np.where(scale > 0, scale, 1.0))
        return cls(numbers, codes, *(each.astype(np.float32) for each in measured))

    def of_rows(self, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (rows, columns of the design)."""
        values = matrix[:, self.numbers]
        missing = ~np.isfinite(values)
        standard = np.clip(
            (np.where(missing, self.middle, values) - self.mean) / self.scale, -MAX_DEVIATION, MAX_DEVIATION
        )
        hot = [matrix[:, [position]] == np.arange(size) for position, size in self.codes.items()]
        return np.hstack([standard, missing, *hot]).astype(np.float32)

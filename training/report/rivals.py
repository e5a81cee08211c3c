"""What stands beside the network: gradient-boosted trees and a logistic regression, on the same rows and features.

Both learn from the training period, are chosen and calibrated on the validation period, and measured on the test, as
the network is. The trees get fine bins: with the usual 255 they lose 0.03 to 0.10 of average precision where amounts
have a long tail, and would be a straw man. lightgbm is imported here, when rivals are wanted, and nowhere before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from contract.features import FIRST_VALUE
from contract.schema import Contract, FeatureKind
from training.errors import TrainingError
from training.evaluation import Scores, calibrate
from training.ranking import Ranking
from training.report.subject import Part, Subject

BINS = 4095
ROUNDS, PATIENCE, RATE = 1000, 50, 0.05
UNJUDGED_ROUNDS = 200
"""Rounds where the validation period cannot rank."""
LEAVES = (15, 63)
FAR = 20.0
"""Standard deviations from the mean that a number counts at most, as in the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Another model's calibrated probabilities of the test rows, and how it was made."""

    name: str
    made: str
    scores: Scores


def left_out(subject: Subject) -> str | None:
    """Why no rival can be trained; None where it can."""
    if subject.train is None or subject.validation is None:
        return "the file does not hold the rows that the version was trained and validated on"
    if not subject.train.both_classes:
        return "the rows of the training period in this file hold one class only"
    return None


def rivals(subject: Subject, threads: int = 1, seed: int = 0) -> list[Rival]:
    """The trees and the regression.

    Raises:
        TrainingError: lightgbm is not installed.
    """
    train, validation, test = subject.train, subject.validation, subject.test
    assert train is not None and validation is not None  # noqa: S101, PT018 - as left_out says; mypy cannot see it.
    boosted, leaves, rounds = _trees(subject.contract, train, validation, threads, seed)
    regression = _regression(subject.contract, train)
    made = f"LightGBM, {BINS:,} bins, {leaves} leaves, {rounds} rounds at {RATE}: chosen on the validation period"
    return [
        Rival("gradient-boosted trees", made, _calibrated(boosted, validation, test)),
        Rival("logistic regression", "scikit-learn, standardised columns", _calibrated(regression, validation, test)),
    ]


Logits = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def _calibrated(logits: Logits, validation: Part, test: Part) -> Scores:
    """Probabilities by the calibration that the network gets too."""
    weights = validation.weights.astype(np.float32)
    found = calibrate(logits(validation.matrix).astype(np.float32), validation.labels, weights)
    with np.errstate(over="ignore"):
        scores: Scores = (1 / (1 + np.exp(-(found.slope * logits(test.matrix) + found.intercept)))).astype(np.float32)
    return scores


def _trees(contract: Contract, train: Part, validation: Part, threads: int, seed: int) -> tuple[Logits, int, int]:
    """The best of a few sizes by average precision on validation: its log-odds, its leaves and its rounds."""
    try:
        import lightgbm  # noqa: PLC0415 - a second to import, and only who wants rivals needs it.
    except ImportError:
        raise TrainingError("The comparison needs lightgbm: install the extra `training`, or leave it out.") from None
    codes = [place for place, feature in enumerate(contract.features) if feature.kind is FeatureKind.CATEGORY]
    settings = {"max_bin": BINS, "feature_pre_filter": False, "verbosity": -1, "num_threads": threads, "seed": seed}
    rows = lightgbm.Dataset(
        train.matrix, train.labels, weight=train.weights, categorical_feature=codes, params=settings
    )
    judged = rows.create_valid(validation.matrix, validation.labels, weight=validation.weights)
    best: tuple[float, Any, int, int] | None = None
    for leaves in LEAVES:
        chosen = settings | {
            "objective": "binary", "metric": "average_precision", "num_leaves": leaves, "learning_rate": RATE,
            "deterministic": True, "force_col_wise": True,
        }  # fmt: skip
        booster = _boosted(lightgbm, chosen, rows, judged if validation.both_classes else None)
        rounds = booster.best_iteration or booster.current_iteration()
        score = _precision(booster, validation, rounds)
        if best is None or score > best[0]:
            best = score, booster, leaves, rounds
    assert best is not None  # noqa: S101 - LEAVES is not empty; mypy cannot see it.
    _, booster, leaves, rounds = best
    return lambda matrix: np.asarray(booster.predict(matrix, raw_score=True, num_iteration=rounds)), leaves, rounds


def _boosted(lightgbm: Any, settings: dict[str, Any], rows: Any, judged: Any) -> Any:  # noqa: ANN401 - lightgbm's.
    if judged is None:
        return lightgbm.train(settings, rows, UNJUDGED_ROUNDS)
    stopping = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train(settings, rows, ROUNDS, valid_sets=[judged], callbacks=[stopping])


def _precision(booster: Any, validation: Part, rounds: int) -> float:  # noqa: ANN401 - lightgbm's.
    if not validation.both_classes:
        return 0.0
    scores = np.asarray(booster.predict(validation.matrix, num_iteration=rounds))
    return Ranking.of(validation.labels, scores).average_precision(validation.weights)


def _regression(contract: Contract, train: Part) -> Logits:
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
        codes = {place: known[feature.column] for place, feature in kinds if feature.kind is FeatureKind.CATEGORY}
        numbers = np.array([place for place, _ in kinds if place not in codes], dtype=np.int64)
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
        standard = np.clip((np.where(missing, self.middle, values) - self.mean) / self.scale, -FAR, FAR)
        hot = [matrix[:, [place]] == np.arange(size) for place, size in self.codes.items()]
        return np.hstack([standard, missing, *hot]).astype(np.float32)

"""What is measured of scored rows, and how far two models' average precisions are apart by chance.

Rows of one card are not independent: frauds come in bursts. The bootstrap therefore draws whole cards, where there are
cards, and every model is measured on the same draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.evaluation import calibration_error, calibration_slope
from training.ranking import Ranking

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

TOP_CARDS = 100
"""What a team can look at in a day."""
RESAMPLES = 200
TAILS = (2.5, 97.5)
"""Per cent: between them lies an interval."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationRows:
    """The rows of a test period, shape (rows,) each.

    Attributes:
        days: whole numbers; None where days mean nothing.
        cards: numbers of the cards, what the bootstrap draws; each row by itself where there are none.
        kinds: of fraud, 0 for genuine; None where the data has one kind.
        weights: how many transactions each row stands for.
    """

    frauds: Flags
    days: Codes | None
    cards: Codes
    kinds: Codes | None
    weights: Floats


def compute_metrics(evaluated: EvaluationRows, scores: Floats) -> dict[str, float]:
    """The metrics of scores of shape (rows,), by name; shares between 0 and 1."""
    result = {
        "average_precision": Ranking.of(evaluated.frauds, scores).average_precision(evaluated.weights),
        "roc_auc": float(roc_auc_score(evaluated.frauds, scores, sample_weight=evaluated.weights)),
        "expected_calibration_error": calibration_error(scores, evaluated.frauds, evaluated.weights),
    }
    if (slope := calibration_slope(scores, evaluated.frauds, evaluated.weights)) is not None:
        result["calibration_slope"] = slope
    if evaluated.days is not None:
        result["card_precision_at_100"] = card_precision(evaluated.days, evaluated.cards, evaluated.frauds, scores)
    return result | _of_kinds(evaluated, scores)


def _of_kinds(evaluated: EvaluationRows, scores: Floats) -> dict[str, float]:
    """Average precision of each kind of fraud among the genuine rows alone."""
    if evaluated.kinds is None:
        return {}
    result = {}
    for kind in np.unique(evaluated.kinds[evaluated.kinds > 0]).tolist():
        rows = (evaluated.kinds == 0) | (evaluated.kinds == kind)
        ranking = Ranking.of(evaluated.frauds[rows], scores[rows])
        result[f"average_precision_of_scenario_{kind}"] = ranking.average_precision(evaluated.weights[rows])
    return result


def card_precision(days: Codes, cards: Codes, frauds: Flags, scores: Floats, top: int = TOP_CARDS) -> float:
    """The book's Card Precision: the mean over days of the share of compromised cards among the `top` riskiest.

    A card is as risky as its riskiest transaction of the day, and compromised if any of that day was fraud; one that
    was found is looked at no more on later days.
    """
    gone, shares = np.zeros(int(cards.max()) + 1, dtype=np.bool_), []
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~gone[cards])
        present, positions = np.unique(cards[rows], return_inverse=True)
        risk, compromised = np.full(len(present), -np.inf), np.zeros(len(present), dtype=np.bool_)
        np.maximum.at(risk, positions, scores[rows])
        np.logical_or.at(compromised, positions, frauds[rows])
        looked_at = np.argsort(-risk, kind="stable")[:top]
        result = present[looked_at][compromised[looked_at]]
        gone[result] = True
        shares.append(len(result) / top)
    return float(np.mean(shares))


def leads(
    tests: Sequence[EvaluationRows], scores: Mapping[str, Sequence[Floats]], of: str, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float, float]]:
    """By how much average precision one model leads each other, with the interval of 95% of paired resamples.

    Args:
        tests: the test period of each fold; the mean over folds is compared.
        scores: of each model, for each fold.
        of: the model that leads.
        resamples: of the cards of each fold.
    """
    names = [of, *(name for name in scores if name != of)]
    rng, totals = np.random.default_rng(0), np.zeros((resamples + 1, len(names)))
    for position, evaluated in enumerate(tests):
        rankings = [Ranking.of(evaluated.frauds, scores[name][position]) for name in names]
        counts = [np.ones(int(evaluated.cards.max()) + 1), *_draws(evaluated, rng, resamples)]
        for row, count in enumerate(counts):
            weights = evaluated.weights * count[evaluated.cards]
            totals[row] += [ranking.average_precision(weights) for ranking in rankings]
    lead = (totals[:, :1] - totals[:, 1:]) / len(tests)
    low, high = np.percentile(lead[1:], TAILS, axis=0)
    return {name: (lead[0, at], low[at], high[at]) for at, name in enumerate(names[1:])}


def _draws(evaluated: EvaluationRows, rng: np.random.Generator, resamples: int) -> list[Floats]:
    """How often each card is in each resample: as many are drawn as there are."""
    present = np.unique(evaluated.cards)
    size = int(evaluated.cards.max()) + 1
    return [np.bincount(rng.choice(present, len(present)), minlength=size).astype(np.float64) for _ in range(resamples)]

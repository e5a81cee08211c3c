"""How good a model is, how its scores become probabilities, and from which probability to act.

Calibration and thresholds are fitted on the validation period alone; the test period only measures. A period that
holds one class only has no ranking to measure: those metrics are left out, never invented.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from contract.decision import DecisionBands
from training.ranking import Floats, Labels, Ranking

Scores = NDArray[np.float32]

CALIBRATION_BINS = 15
FALSE_POSITIVES = {"0.1%": 0.001, "1%": 0.01}
"""The false-positive rates at which recall is measured, by what they are called."""
PROBABILITY_MARGIN = 1e-7
"""Probabilities nearer to 0 or 1 count as this near: their log-odds are infinite, or were rounded."""
MIN_DECLINED = 10
"""Transactions that a decline threshold must have been tried on."""


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """What the thresholds are chosen for.

    Attributes:
        decline_precision: share of fraud among the declined that is aimed at.
        alert_share: share of transactions that may be flagged (reviewed or declined); twice the share of fraud where
            that is more.
    """

    decline_precision: float = 0.9
    alert_share: float = 0.01


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's: probability = sigmoid(slope * logit + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()


def calibrate(logits: Scores, labels: Labels, weights: NDArray[np.float32] | None = None) -> Calibration:
    """Fits the calibration to log-odds and labels of shape (rows,), with Platt's smoothed targets.

    `weights` is how many transactions each row stands for, shape (rows,); None for one each.
    """
    frauds = int(labels.sum())
    if frauds in {0, len(labels)}:
        note = "The validation period holds one class only: the probabilities are not calibrated."
        return Calibration(notes=(note,))
    high, low = (frauds + 1) / (frauds + 2), 1 / (len(labels) - frauds + 2)
    counted = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    slope, intercept = _fit_platt(logits.astype(np.float64), np.where(labels, high, low), counted)
    if slope <= 0:
        note = "On the validation period higher scores were not riskier: the probabilities are not calibrated."
        return Calibration(notes=(note,))
    return Calibration(slope, intercept)


def _fit_platt(
    logits: NDArray[np.float64], targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Minimises the log loss; two parameters, so a quasi-Newton search is exact enough in a few steps."""
    values, expected, counted = (torch.from_numpy(each) for each in (logits, targets, weights / weights.mean()))
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        scaled = parameters[0] * values + parameters[1]
        result = torch.nn.functional.binary_cross_entropy_with_logits(scaled, expected, counted)
        result.backward()  # type: ignore[no-untyped-call]
        return result

    search.step(loss)  # type: ignore[no-untyped-call]
    slope, intercept = parameters.tolist()
    return slope, intercept


def choose_bands(
    probabilities: Scores, labels: Labels, policy: ThresholdPolicy, weights: Floats | None = None
) -> tuple[DecisionBands, tuple[str, ...]]:
    """The thresholds for these validation rows, and notes on what could not be had.

    `weights` is how many transactions each row stands for, shape (rows,); None for one each.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    ranking = Ranking.of(labels, probabilities)
    flagged, caught = ranking.cumulative_counts(counted)
    tried = ranking.ends + 1 >= MIN_DECLINED
    decline = ranking.lowest(tried & (caught >= policy.decline_precision * flagged))
    share = max(policy.alert_share, 2 * float(np.average(labels, weights=counted)))
    review = ranking.lowest(flagged <= share * float(counted.sum()))
    review = 1.0 if review is None else review  # Each score is reached by more.
    if decline is not None:
        return DecisionBands(min(review, decline), decline), ()
    # A calibrated probability promises that precision where too little was seen to measure it.
    aim = policy.decline_precision
    note = f"No threshold declined with a precision of {aim:.0%} on validation: it is the probability {aim}."
    return DecisionBands(min(review, aim), aim), (note,)


def measure(
    probabilities: Scores, labels: Labels, bands: DecisionBands, weights: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """The metrics of one period; names as in the model card, shares between 0 and 1.

    `weights` is how many transactions each row stands for, shape (rows,); None for one each.
    """
    metrics = {"rows": float(len(labels)), "frauds": float(labels.sum())}
    if not len(labels):
        return metrics
    values, counted = probabilities.astype(np.float64), np.ones(len(labels)) if weights is None else weights
    metrics["base_rate"] = float(np.average(labels, weights=counted))
    metrics["brier"] = float(np.average((values - labels) ** 2, weights=counted))
    metrics["expected_calibration_error"] = calibration_error(values, labels, weights)
    slope = calibration_slope(values, labels, weights)
    metrics |= {} if slope is None else {"calibration_slope": slope}
    metrics |= _ranking(values, labels, counted)
    declined, flagged = values >= bands.decline, values >= min(bands.review, bands.decline)
    chosen = {"decline": declined, "review": flagged & ~declined, "flagged": flagged}
    for name, rows in chosen.items():
        metrics |= _band(name, rows, labels, counted)
    return metrics


def calibration_error(values: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64] | None = None) -> float:
    """Mean distance of predicted and observed share of fraud over bins of equally many rows, weighted by rows.

    Bins of equal width would put nearly every row of rare fraud into the first one and measure nothing.
    """
    order = np.argsort(values, kind="stable")
    counted = np.ones(len(order)) if weights is None else weights
    bins = np.array_split(order, min(CALIBRATION_BINS, len(order)))
    # Rows that are many transactions each: the bins hold equally many of these.
    if weights is not None and np.ptp(weights) > 0:
        reached = np.cumsum(weights[order])
        bins = np.split(order, np.searchsorted(reached, reached[-1] * np.arange(1, len(bins)) / len(bins)))
    distances = [abs(float(np.sum(counted[rows] * (values[rows] - labels[rows])))) for rows in bins]
    return sum(distances) / float(counted.sum())


def calibration_slope(values: NDArray[np.float64], labels: Labels, weights: Floats | None = None) -> float | None:
    """By what the log-odds would have to be multiplied to fit what happened (Cox): 1 is right, 0.5 twice too sure.

    It sees what the calibration error hides where fraud is rare: all alerts lie in its last bin, and log-odds that are
    trebled change it by a fiftieth. None where one class is all there is, or the scores part the classes.
    """
    counted = np.ones(len(labels)) if weights is None else weights
    frauds, others = values[labels], values[~labels]
    if not len(frauds) or not len(others) or frauds.min() >= others.max() or frauds.max() <= others.min():
        return None
    inside = np.clip(values, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    slope, _ = _fit_platt(np.log(inside / (1 - inside)), labels.astype(np.float64), counted)
    return slope


def _ranking(values: NDArray[np.float64], labels: Labels, weights: NDArray[np.float64]) -> dict[str, float]:
    if labels.all() or not labels.any():
        return {}
    result = recalls(Ranking.of(labels, values), weights)
    return {
        "average_precision": float(average_precision_score(labels, values, sample_weight=weights)),
        "roc_auc": float(roc_auc_score(labels, values, sample_weight=weights)),
        **{f"recall_at_{name}_false_positives": recall for name, recall in result.items()},
    }


def roc(ranking: Ranking, weights: Floats) -> tuple[Floats, Floats]:
    """Share of genuine rows flagged, and of frauds found, at each distinct score, the highest first."""
    flagged, caught = ranking.cumulative_counts(weights)
    alarms = flagged - caught
    return alarms / alarms[-1], caught / caught[-1]


def recalls(ranking: Ranking, weights: Floats) -> dict[str, float]:
    """The share of frauds found while no more genuine rows are flagged than each of FALSE_POSITIVES, by its name."""
    false_positives, recall = roc(ranking, weights)
    return {name: float(recall[false_positives <= most].max(initial=0.0)) for name, most in FALSE_POSITIVES.items()}


def _band(name: str, chosen: NDArray[np.bool_], labels: Labels, weights: NDArray[np.float64]) -> dict[str, float]:
    """Share of the rows in a band, and where they exist its precision and recall."""
    metrics = {f"{name}_share": float(np.average(chosen, weights=weights))}
    if chosen.any():
        metrics[f"{name}_precision"] = float(np.average(labels[chosen], weights=weights[chosen]))
    if labels.any():
        metrics[f"{name}_recall"] = float(np.average(chosen[labels], weights=weights[labels]))
    return metrics

"""What one model's scores of one period come to: numbers, and the curves that are drawn of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training import evaluation
from training.ranking import Floats, Ranking
from training.threshold_choice import Costs, Period, savings

POINTS = 160
"""Of a curve, at most: more cannot be seen."""
MAX_ALERT_SHARE = 0.1
"""Share of transactions up to which the alert curve is drawn."""
ALERTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""A day, or in 1,000 transactions: the rows of the table."""
CALIBRATION_BINS, FRAUDS_A_BIN = 12, 5
SMALLEST_SCORE, SCORE_BINS = 1e-5, 25
CONFIDENT = 1.96
"""Standard errors to each side of a share: 95% lie within."""


def numbers(period: Period) -> dict[str, Any]:
    """The scalar metrics; the period has both classes."""
    scores, weights = period.scores.astype(np.float64), period.weights
    ranking = Ranking.of(period.labels, period.scores)
    result = {
        "rows": len(period.labels),
        "frauds": int(period.labels.sum()),
        "transactions": float(weights.sum()),
        "base_rate": float(np.average(period.labels, weights=weights)),
        "average_precision": ranking.average_precision(weights),
        "roc_auc": float(roc_auc_score(period.labels, scores, sample_weight=weights)),
        "recall_at_false_positives": evaluation.recalls(ranking, weights),
        "brier": float(np.average((scores - period.labels) ** 2, weights=weights)),
        "expected_calibration_error": evaluation.calibration_error(scores, period.labels, weights),
        "calibration_slope": evaluation.calibration_slope(scores, period.labels, weights),
        "mean_probability": float(np.average(scores, weights=weights)),
    }
    return result | {"days": period.days}


def unit(period: Period) -> tuple[str, float]:
    """How alerts are counted, and by what their number is multiplied: a day, or in 1,000 transactions without time."""
    if period.days:
        return "a day", 1 / period.days
    return "in 1,000 transactions", 1000 / float(period.weights.sum())


def precision_recall(period: Period) -> dict[str, list[float]]:
    """Precision where each share of the frauds is found; from the highest score on."""
    flagged, caught = Ranking.of(period.labels, period.scores).cumulative_counts(period.weights)
    recall, precision = caught / caught[-1], caught / flagged
    positions = _places(recall, np.linspace(0, 1, POINTS))
    return {"recall": _rounded(recall[positions]), "precision": _rounded(precision[positions])}


def roc(period: Period) -> dict[str, list[float]]:
    """Share of frauds found at each share of genuine rows flagged, from 0.01% on."""
    false_positives, recall = evaluation.roc(Ranking.of(period.labels, period.scores), period.weights)
    positions = _places(false_positives, np.geomspace(1e-4, 1, POINTS))
    return {"false_positives": _rounded(false_positives[positions]), "recall": _rounded(recall[positions])}


def alerts(period: Period, costs: Costs | None) -> dict[str, list[float]]:
    """What comes of each number of alerts; the cost is a share of what is lost without a model."""
    ranking = Ranking.of(period.labels, period.scores)
    flagged, caught = ranking.cumulative_counts(period.weights)
    total = float(period.weights.sum())
    within = max(1, int(np.searchsorted(flagged, MAX_ALERT_SHARE * total, side="right")))
    positions = _places(flagged[:within], np.geomspace(flagged[0], flagged[within - 1], POINTS))
    result = {
        "alerts": flagged[positions] * unit(period)[1],
        "share": flagged[positions] / total,
        "threshold": ranking.scores[positions],
        "precision": caught[positions] / flagged[positions],
        "recall": caught[positions] / caught[-1],
        **{name: values[positions] for name, values in _money(period, ranking, costs).items()},
    }
    return {name: _rounded(values) for name, values in result.items()}


def alert_table(curve: dict[str, list[float]]) -> list[dict[str, float]]:
    """The curve of :func:`alerts` at round numbers of alerts: the most that keep within each."""
    counted, result = np.array(curve["alerts"]), []
    for most in (each for each in ALERTS if counted[0] <= each <= counted[-1]):
        position = int(np.searchsorted(counted, most * (1 + 1e-9), side="right")) - 1
        result.append({"at_most": float(most)} | {name: values[position] for name, values in curve.items()})
    return result


def calibration(period: Period) -> list[dict[str, float]]:
    """Predicted and observed share of fraud over bins that hold equally many expected frauds, the lowest first.

    Bins of equally many rows would show the genuine end twelve times and the alerts once.
    """
    order = np.argsort(period.scores, kind="stable")
    expected = np.cumsum((period.scores * period.weights)[order].astype(np.float64))
    bins = max(3, min(CALIBRATION_BINS, int(period.labels.sum()) // FRAUDS_A_BIN))
    cuts = np.searchsorted(expected, expected[-1] * np.arange(1, bins) / bins)
    return [_bin(period, rows) for rows in np.split(order, cuts) if len(rows)]


def distribution(period: Period) -> dict[str, list[float]]:
    """Share of the frauds, and of the genuine rows, by probability; what is lower than the first edge is in its bin."""
    edges = np.geomspace(SMALLEST_SCORE, 1, SCORE_BINS + 1)
    inside = np.clip(period.scores.astype(np.float64), edges[0], edges[-1])
    classes = {"fraud": period.labels, "genuine": ~period.labels}
    counts = {
        name: np.histogram(inside[rows], edges, weights=period.weights[rows])[0] / period.weights[rows].sum()
        for name, rows in classes.items()
    }
    return {"edges": _rounded(edges), **{name: _rounded(shares) for name, shares in counts.items()}}


def _bin(period: Period, rows: NDArray[np.int64]) -> dict[str, float]:
    weights, count = period.weights[rows], float(period.weights[rows].sum())
    observed = float(np.average(period.labels[rows], weights=weights))
    low, high = _wilson(observed, count)
    return {
        "predicted": float(np.average(period.scores[rows], weights=weights)),
        "observed": observed,
        "low": low,
        "high": high,
        "rows": count,
        "frauds": observed * count,
    }


def _wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a share of `count` rows; it stays within 0 and 1 however few they are."""
    square = CONFIDENT**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    spread = CONFIDENT / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return float(max(0.0, centre - spread)), float(min(1.0, centre + spread))


def _money(period: Period, ranking: Ranking, costs: Costs | None) -> dict[str, Floats]:
    """At each distinct score; nothing where no column is the amount, or no fraud has one."""
    at_risk = float(period.value[period.labels].sum())
    if period.amounts is None or not at_risk:
        return {}
    caught = np.cumsum((period.value * period.labels)[ranking.order])[ranking.ends]
    result = {"value_detected": caught / at_risk}
    if costs is None:
        return result
    saved = savings(period, ranking, costs)
    return result | {"saved": saved, "cost": 1 - saved / (costs.missed * at_risk)}


def _places(ascending: Floats, targets: Floats) -> NDArray[np.int64]:
    """Where the wanted values stand among ascending ones, each place once, the first and the last among them."""
    result = np.searchsorted(ascending, targets).clip(0, len(ascending) - 1)
    return np.unique(np.concatenate(([0], result, [len(ascending) - 1])))


def _rounded(values: NDArray[Any]) -> list[float]:
    """Six digits: a report is read, not computed with."""
    return [float(f"{value:.6g}") for value in values.tolist()]

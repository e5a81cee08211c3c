"""Ablation of the history features: the same training without them, and the version with their defaults."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.decision import DecisionBands
from contract.features import to_matrix
from contract.schema import Contract
from contract.table import Table
from history.plan import Plan
from training.evaluation import Scores, measure
from training.ranking import Labels


def default_history_matrix(contract: Contract, table: Table) -> NDArray[np.float32] | None:
    """The matrix with every history feature at its default, shape (rows, contract.width); None without history."""
    plan = Plan.of([contract])
    if plan is None:
        return None
    return to_matrix(contract, table.extended(plan.default_values(table.columns, table.rows)))


def without_history(contract: Contract) -> tuple[Contract, NDArray[np.int64]] | None:
    """The contract without its history, and which columns of the matrix are left.

    None where nothing would be lost, or nothing left.
    """
    of_history = {window.name for window in contract.history}
    positions = [position for position, feature in enumerate(contract.features) if feature.column not in of_history]
    if not positions or len(positions) == contract.width:
        return None
    features = tuple(contract.features[position] for position in positions)
    return replace(contract, features=features, history=()), np.array(positions, dtype=np.int64)


def history_ablation(
    labels: Labels, scores: Mapping[str, Scores], bands: DecisionBands, weights: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """The model card's `history`, of the rows of one period.

    Args:
        labels: shape (rows,), as all of the next.
        scores: probabilities of the version ("with"), its probabilities with every history feature at its default
            ("neutral"), and where there is one those of the same training without history ("without").
        bands: the version's thresholds.
        weights: how many transactions each row stands for; None for one each.
    """
    metrics = {name: measure(result, labels, bands, weights) for name, result in scores.items()}
    precision = _each(metrics, "average_precision")
    result: dict[str, Any] = {"average_precision": precision} if precision else {}
    if {"with", "without"} <= precision.keys():
        result["gain"] = precision["with"] - precision["without"]
    shares = _each(metrics, "flagged_share")
    shares.pop("without", None)  # The thresholds are not those of that training.
    return result | {"flagged_share": shares}


def _each(metrics: Mapping[str, Mapping[str, float]], name: str) -> dict[str, float]:
    order = ("with", "without", "neutral")
    return {which: metrics[which][name] for which in order if name in metrics.get(which, {})}

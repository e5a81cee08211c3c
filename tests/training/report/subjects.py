"""Versions to report on, without a training: a score that follows the amount, over rows of the small contract."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contract.decision import DecisionBands
from contract.features import to_matrix
from contract.model_card import ModelCard
from contract.schema import Contract
from contract.table import Table
from tests.training.rows import AMOUNT, contract
from training.amounts import amount_of
from training.data import LabelledTransactions
from training.evaluation import Scores, ThresholdPolicy
from training.report.subject import PeriodRows, Subject
from training.threshold_choice import DecisionOptions, choose_thresholds

DAY = 86_400.0
START = 1_767_225_600.0
"""2026-01-01."""
CARD = ModelCard(7, "2026-03-01T00:00:00+00:00", DecisionBands(0.3, 0.8), {}, {}, {}, {}, 0.0)


def score(matrix: NDArray[np.float32]) -> Scores:
    """Half at an amount of 400."""
    scores: Scores = (1 / (1 + np.exp((400 - matrix[:, AMOUNT]) / 25))).astype(np.float32)
    return scores


def labelled(count: int = 600, seed: int = 0, first: float = START, of: Contract | None = None) -> LabelledTransactions:
    """Transactions over thirty days; fraud is mostly what costs much."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0, 500, count)
    labels = rng.random(count) < 1 / (1 + np.exp((420 - amounts) / 15))
    column = "channel" if of is None else next(c.name for c in of.columns if c.kind == "category")
    columns = {
        "ref": np.array([f"secret-{place}" for place in range(count)], dtype=object),
        "when": first + np.sort(rng.uniform(0, 30 * DAY, count)),
        "amount": amounts,
        "age": np.where(rng.random(count) < 0.2, np.nan, rng.normal(40, 9, count)),
        column: rng.choice(np.array(["chip", "online", "", "never-seen"], dtype=object), count),
        "fraud": labels.astype(int).astype(str).astype(object),
    }
    return LabelledTransactions(Table(columns, np.arange(1, count + 1)), labels, columns["when"], "0" * 64)


def part(rows: LabelledTransactions, of: Contract | None = None) -> PeriodRows:
    """A period of all these rows."""
    matrix = to_matrix(of or contract(), rows.table)
    return PeriodRows(rows.table, matrix, rows.labels, np.ones(rows.rows), rows.seconds)


def subject(of: Contract | None = None) -> Subject:
    """A version with its three periods and its decisions."""
    of = of or contract()
    parts = [
        part(labelled(count, seed, START + seed * 40 * DAY, of), of) for count, seed in ((900, 0), (600, 1), (600, 2))
    ]
    train, validation, test = parts
    amount = amount_of(of)
    scored = [each.scored(score(each.matrix), amount.column) for each in (validation, test)]
    decided = choose_thresholds(scored[0], scored[1], ThresholdPolicy(), DecisionOptions(), amount)
    card = replace(CARD, bands=decided.bands, decisions=decided.card)
    facts = {"source": "pay.csv", "sha256": "0" * 64, "rows": 2100, "frauds": 300, "same": True}
    return Subject(of, card, score, test, train, validation, facts)

"""The metrics against counting by hand, and what an interval must be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_metrics import EvaluationRows, card_precision, compute_metrics, leads


def _tested(rows: int = 300) -> EvaluationRows:
    rng = np.random.default_rng(1)
    kinds = rng.choice([0, 0, 0, 0, 1, 2], rows)
    return EvaluationRows(kinds > 0, np.sort(rng.integers(0, 3, rows)), rng.integers(0, 40, rows), kinds, np.ones(rows))


def test_card_precision_counts_compromised_cards_among_the_riskiest_of_each_day() -> None:
    """A card is as risky as its riskiest transaction, whichever of its transactions was the fraud."""
    days, cards = np.array([0, 0, 0, 0]), np.array([1, 1, 2, 3])
    frauds, scores = np.array([True, False, False, True]), np.array([0.1, 0.9, 0.5, 0.2])
    assert card_precision(days, cards, frauds, scores, top=1) == 1.0
    assert card_precision(days, cards, frauds, scores, top=2) == 0.5
    assert card_precision(days, cards, frauds, scores, top=3) == pytest.approx(2 / 3)


def test_a_card_that_was_found_is_looked_at_no_more() -> None:
    """On the next day the one after it takes its place."""
    days, cards = np.array([0, 1, 1]), np.array([1, 1, 2])
    frauds, scores = np.array([True, True, False]), np.array([0.9, 0.9, 0.1])
    assert card_precision(days, cards, frauds, scores, top=1) == 0.5


@given(st.integers(1, 100))
def test_perfect_scores_have_the_best_card_precision(top: int) -> None:
    """No other order of the rows finds more."""
    evaluated = _tested()
    assert evaluated.days is not None
    rng = np.random.default_rng(top)
    perfect = card_precision(evaluated.days, evaluated.cards, evaluated.frauds, evaluated.frauds.astype(float), top)
    assert perfect >= card_precision(evaluated.days, evaluated.cards, evaluated.frauds, rng.random(300), top)


def test_each_kind_of_fraud_is_measured_among_the_genuine_rows() -> None:
    """Scores that know one kind alone are perfect for that kind, and not for all."""
    evaluated = _tested()
    assert evaluated.kinds is not None
    found = compute_metrics(evaluated, (evaluated.kinds == 1).astype(float))
    assert found["average_precision_of_scenario_1"] == 1.0
    assert found["average_precision_of_scenario_2"] < 0.5
    assert found["average_precision"] < 1.0


def test_a_model_leads_itself_by_nothing() -> None:
    """Paired: not even by chance."""
    evaluated, scores = _tested(), np.random.default_rng(2).random(300)
    assert leads([evaluated], {"a": [scores], "b": [scores]}, "a", resamples=20) == {"b": (0.0, 0.0, 0.0)}


def test_the_lead_lies_within_its_interval_and_is_repeated_exactly() -> None:
    """Of the mean over folds."""
    evaluated, rng = _tested(), np.random.default_rng(3)
    scores = {"good": [evaluated.frauds + rng.random(300)] * 2, "bad": [rng.random(300)] * 2}
    (lead, low, high), again = (leads([evaluated] * 2, scores, "good", resamples=50)["bad"] for _ in range(2))
    assert 0 < low < lead < high
    assert again == (lead, low, high)

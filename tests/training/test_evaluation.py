import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from contract.decision import DecisionBands
from training import evaluation
from training.evaluation import (
    FALSE_POSITIVES,
    ThresholdPolicy,
    calibrate,
    calibration_slope,
    choose_bands,
    measure,
    recalls,
)
from training.ranking import Labels, Ranking

scores_and_labels = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60
)  # fmt: skip


def _arrays(pairs: list[tuple[float, bool]]) -> tuple[evaluation.Scores, Labels]:
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, dtype=np.float32), np.array(labels)


def test_calibration_undoes_a_distortion() -> None:
    """Log-odds that are twice too large and shifted come back to the true probabilities."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-2, 1.5, 20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-truth))
    found = calibrate((2 * truth + 1).astype(np.float32), labels)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize("fraud", [True, False])
def test_one_class_is_not_calibrated_but_noted(fraud: bool) -> None:
    """Without both classes the probabilities stay as they are and the card says so."""
    found = calibrate(np.zeros(20, dtype=np.float32), np.full(20, fraud))
    assert (found.slope, found.intercept) == (1.0, 0.0)
    assert "one class" in found.notes[0]


def test_a_backwards_model_is_not_turned_round() -> None:
    """Scores that point the wrong way on validation are left alone, with a note."""
    logits = np.linspace(-3, 3, 200).astype(np.float32)
    found = calibrate(logits, logits < 0)
    assert found.slope == 1.0
    assert "not riskier" in found.notes[0]


@given(scores_and_labels)
def test_bands_are_always_valid(pairs: list[tuple[float, bool]]) -> None:
    """Any scores and labels give thresholds that the contract accepts."""
    scores, labels = _arrays(pairs)
    bands, _ = choose_bands(scores, labels, ThresholdPolicy())
    assert 0 <= bands.review <= bands.decline <= 1


@given(scores_and_labels)
def test_no_more_is_flagged_than_the_budget(pairs: list[tuple[float, bool]]) -> None:
    """Reviews keep within the alert budget; only declines that reached their precision may exceed it."""
    scores, labels = _arrays(pairs)
    bands, _ = choose_bands(scores, labels, ThresholdPolicy())
    flagged = measure(scores, labels, bands)
    budget = max(0.01, 2 * labels.mean())
    assert flagged["flagged_share"] <= budget or bands.review == bands.decline or (scores == 1).any()


@given(scores_and_labels, st.sampled_from([0.125, 1.0, 64.0]))
def test_only_the_ratio_of_weights_counts(pairs: list[tuple[float, bool]], each: float) -> None:
    """Thresholds and figures are those of rows that stand for one each, whatever all of them stand for."""
    scores, labels = _arrays(pairs)
    weights = np.full(len(labels), each)
    bands, notes = choose_bands(scores, labels, ThresholdPolicy())
    assert choose_bands(scores, labels, ThresholdPolicy(), weights) == (bands, notes)
    assert measure(scores, labels, bands, weights) == pytest.approx(measure(scores, labels, bands))


def test_the_budget_is_one_of_transactions() -> None:
    """Where each genuine row stands for ten, ten more are flagged with it, and fraud is rarer than its rows."""
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    labels = scores > 0.9
    weights = np.where(labels, 1.0, 10.0)
    bands, _ = choose_bands(scores, labels, ThresholdPolicy(alert_share=0.05), weights)
    flagged = measure(scores, labels, bands, weights)["flagged_share"]
    assert 0.04 < flagged <= 0.05
    assert flagged == pytest.approx(float(weights[scores >= bands.review].sum() / weights.sum()))


def test_decline_reaches_its_precision() -> None:
    """The decline threshold is the lowest at which nine in ten of the declined were fraud."""
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    labels = scores > 0.5
    bands, notes = choose_bands(scores, labels, ThresholdPolicy())
    assert not notes
    assert measure(scores, labels, bands)["decline_precision"] >= 0.9
    assert bands.decline < 0.5


def test_unreachable_precision_declines_by_probability() -> None:
    """Where no threshold was precise enough, a calibrated probability of 0.9 is asked for, with a note."""
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    bands, notes = choose_bands(scores, np.arange(1000) % 5 == 0, ThresholdPolicy())
    assert bands.decline == 0.9
    assert "90%" in notes[0]


@given(scores_and_labels)
def test_recalls_are_those_of_the_roc_curve(pairs: list[tuple[float, bool]]) -> None:
    """As scikit-learn draws it, by the same names in the card and in the report."""
    scores, labels = _arrays(pairs)
    assume(labels.any() and not labels.all())
    weights = np.where(labels, 1.0, 10.0)
    false_positives, recall, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    found = recalls(Ranking.of(labels, scores), weights)
    assert found == {name: recall[false_positives <= most].max() for name, most in FALSE_POSITIVES.items()}
    output = measure(scores, labels, DecisionBands(0.5, 0.9), weights)
    assert {output[f"recall_at_{name}_false_positives"] for name in found} == set(found.values())


def test_one_class_has_no_ranking() -> None:
    """Metrics that one class cannot have are left out, and the others are finite."""
    scores = np.full(10, 0.2, dtype=np.float32)
    labels = np.zeros(10, dtype=bool)
    found = measure(scores, labels, choose_bands(scores, labels, ThresholdPolicy())[0])
    assert "average_precision" not in found
    assert all(np.isfinite(value) for value in found.values())


def test_perfect_scores_measure_perfectly() -> None:
    """Right and certain scores have full precision and recall and no calibration error."""
    labels = np.arange(1000) % 50 == 0
    scores = labels.astype(np.float32)
    found = measure(scores, labels, choose_bands(scores, labels, ThresholdPolicy())[0])
    assert found["average_precision"] == found["roc_auc"] == found["recall_at_0.1%_false_positives"] == 1.0
    assert found["expected_calibration_error"] == found["brier"] == 0.0


@given(st.floats(0.4, 2.5), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_the_calibration_slope_tells_who_is_too_sure(factor: float, seed: int) -> None:
    """Log-odds that are multiplied need to be divided again; those of true probabilities are right as they are."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3, 1.5, 20_000)
    labels = rng.uniform(size=len(logits)) < 1 / (1 + np.exp(-logits))
    slope = calibration_slope(1 / (1 + np.exp(-factor * logits)), labels)
    assert slope == pytest.approx(1 / factor, rel=0.15)


def test_where_nothing_is_mixed_there_is_no_calibration_slope() -> None:
    """One class, one score, or scores that part the classes: any slope would do."""
    labels = np.arange(10) < 5
    for values, truth in (
        (np.linspace(0, 1, 10), labels),
        (np.full(10, 0.2), labels),
        (np.arange(10) / 10, labels > 2),
    ):
        assert calibration_slope(values, truth) is None


def test_no_rows_measure_nothing() -> None:
    """An empty period has its sizes and nothing else."""
    empty = np.empty(0, dtype=np.float32)
    bands = choose_bands(np.ones(1, dtype=np.float32), np.ones(1, dtype=bool), ThresholdPolicy())[0]
    assert measure(empty, empty.astype(bool), bands) == {"rows": 0.0, "frauds": 0.0}

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.report import metrics
from training.threshold_choice import Costs, Period

DAY = 86_400.0


def period(seed: int = 0, count: int = 3000, share: float = 0.05, weight: float = 1.0) -> Period:
    """Calibrated scores over ten days; genuine rows stand for so many."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(share), 2, count)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    labels = rng.random(count) < scores
    weights = np.where(labels, 1.0, weight)
    return Period.of(scores, labels, rng.lognormal(3, 1, count), np.linspace(0, 10 * DAY, count), weights)


@given(st.integers(0, 50), st.sampled_from([1.0, 10.0]))
def test_numbers_are_the_usual_ones(seed: int, weight: float) -> None:
    """Average precision and ROC area are scikit-learn's, weights in them."""
    of = period(seed, 300, weight=weight)
    found = metrics.numbers(of)
    usual = {"average_precision": average_precision_score, "roc_auc": roc_auc_score}
    for name, measure in usual.items():
        assert found[name] == pytest.approx(measure(of.labels, of.scores, sample_weight=of.weights))


def test_recall_grows_with_false_positives() -> None:
    """Ten times the false positives never find less."""
    recalls = metrics.numbers(period())["recall_at_false_positives"]
    assert 0 <= recalls["0.1%"] <= recalls["1%"] <= 1


@given(st.integers(0, 30))
def test_curves_keep_their_ends_and_their_order(seed: int) -> None:
    """A curve of few points still begins and ends where all of them do, and recall never falls."""
    of = period(seed, 200)
    curve = metrics.precision_recall(of)
    assert curve["recall"][-1] == 1.0
    assert curve["precision"][-1] == pytest.approx(of.labels.mean(), abs=1e-5)
    assert all(np.diff(curve["recall"]) >= 0)
    assert len(curve["recall"]) <= metrics.POINTS + 2


def test_alerts_are_counted_a_day() -> None:
    """Thirty rows flagged in ten days are three alerts a day; without times they are of 1,000 transactions."""
    of = period()
    words, times = metrics.unit(of)
    assert words == "a day"
    assert times == pytest.approx(0.1)
    untimed = Period.of(of.scores, of.labels)
    assert metrics.unit(untimed)[0] == "in 1,000 transactions"


def test_the_alert_table_keeps_within_each_number() -> None:
    """Each line has at most its number of alerts, and more alerts find no less."""
    lines = metrics.alert_table(metrics.alerts(period(), Costs(2.0, 1.0, stated=True)))
    assert lines
    assert all(line["alerts"] <= line["at_most"] for line in lines)
    assert [line["recall"] for line in lines] == sorted(line["recall"] for line in lines)


def test_cost_is_what_is_lost_less_what_is_saved() -> None:
    """At each point the share of the cost is one less the share saved."""
    of, costs = period(), Costs(2.0, 1.0, stated=True)
    curve = metrics.alerts(of, costs)
    at_risk = float(of.value[of.labels].sum())
    assert curve["cost"] == pytest.approx([1 - saved / at_risk for saved in curve["saved"]], abs=1e-4)


def test_without_amounts_there_is_no_money() -> None:
    """Value and cost are left out where no column is the amount."""
    of = period()
    assert not {"value_detected", "cost"} & metrics.alerts(Period.of(of.scores, of.labels), None).keys()


def test_calibrated_scores_lie_within_their_intervals() -> None:
    """Of scores that are true probabilities nearly every bin's interval holds the predicted share."""
    bins = metrics.calibration(period(count=40_000))
    within = [each["low"] <= each["predicted"] <= each["high"] for each in bins]
    assert sum(within) >= len(bins) - 2
    assert sum(each["rows"] for each in bins) == pytest.approx(40_000)


@given(st.integers(0, 30))
def test_the_distribution_holds_every_row(seed: int) -> None:
    """The shares of a class add up to one, whatever lies beyond the edges."""
    output = metrics.distribution(period(seed, 400))
    assert sum(output["fraud"]) == pytest.approx(1, abs=1e-4)
    assert sum(output["genuine"]) == pytest.approx(1, abs=1e-4)


def test_equal_scores_are_one_point() -> None:
    """Rows of one score are flagged together, and nothing divides by zero."""
    of = Period.of(np.full(40, 0.1, dtype=np.float32), np.arange(40) < 4, np.ones(40))
    assert metrics.alerts(of, Costs(1.0, 1.0, stated=False))["recall"] == [1.0]
    assert metrics.calibration(of)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from training.ranking import Floats, Labels, Ranking, intervals

rows = st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(1, 3)), min_size=1, max_size=60)


def arrays(drawn: list[tuple[int, bool, int]]) -> tuple[Floats, Labels, Floats]:
    """Scores with ties, labels, and weights."""
    scores, labels, weights = zip(*drawn, strict=True)
    return np.array(scores) / 8, np.array(labels), np.array(weights, dtype=np.float64)


@given(rows)
def test_average_precision_is_the_usual_one(drawn: list[tuple[int, bool, int]]) -> None:
    """Ties and weights count as scikit-learn counts them."""
    scores, labels, weights = arrays(drawn)
    found = Ranking.of(labels, scores).average_precision(weights)
    if not labels.any():
        assert np.isnan(found)
    else:
        assert found == pytest.approx(average_precision_score(labels, scores, sample_weight=weights))


@given(rows)
def test_a_weight_is_as_many_rows(drawn: list[tuple[int, bool, int]]) -> None:
    """A row of weight three ranks as the same row three times."""
    scores, labels, weights = arrays(drawn)
    times = weights.astype(int)
    repeated = Ranking.of(np.repeat(labels, times), np.repeat(scores, times))
    found, expected = (
        Ranking.of(labels, scores).average_precision(weights),
        repeated.average_precision(np.ones(times.sum())),
    )
    assert found == pytest.approx(expected, nan_ok=True)


def test_intervals_are_the_same_each_time() -> None:
    """A seed gives one interval, and another seed another."""
    rng = np.random.default_rng(0)
    labels = rng.random(500) < 0.1
    rankings = [Ranking.of(labels, labels + rng.normal(size=500)) for _ in range(2)]
    ones = np.ones(500)
    assert intervals(rankings, ones, 1) == intervals(rankings, ones, 1) != intervals(rankings, ones, 2)


def test_equal_models_differ_by_nothing() -> None:
    """The paired difference of a ranking to itself is zero, however wide its own interval is."""
    rng = np.random.default_rng(0)
    labels = rng.random(500) < 0.1
    ranking = Ranking.of(labels, labels + rng.normal(size=500))
    (own, _), (lead,) = intervals([ranking, ranking], np.ones(500))
    assert (lead.low, lead.high) == (0.0, 0.0)
    assert own.high - own.low > 0.05


def test_without_fraud_there_is_no_interval() -> None:
    """Rows of one class tell nothing, and no interval is invented."""
    ranking = Ranking.of(np.zeros(5, dtype=bool), np.arange(5.0))
    assert intervals([ranking], np.ones(5)) == ([], [])

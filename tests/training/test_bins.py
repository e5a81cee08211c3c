import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.bins import MAX_PIECES, MAX_TREE_ROWS, edges


def _drawn(rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Values between 0 and 500, fraud above 400."""
    values = np.random.default_rng(0).uniform(0, 500, rows)
    return values, values > 400


def test_an_edge_lies_where_fraud_begins() -> None:
    """A rule's threshold is an edge, between the smallest and the largest value."""
    values, labels = _drawn()
    found = edges(values, labels, np.ones(len(values)))
    assert found[0] == np.float32(values.min())
    assert found[-1] == np.float32(values.max())
    assert np.abs(found - 400).min() < 1


def test_a_rule_is_a_step_between_two_neighbouring_values() -> None:
    """The piece about its threshold begins at the last value that is no fraud, and ends at the first that is."""
    values, labels = _drawn()
    found = edges(values, labels, np.ones(len(values)))
    begin = int(np.searchsorted(found, 400.0)) - 1
    assert found[begin] == np.float32(values[~labels].max())
    assert found[begin + 1] == np.float32(values[labels].min())


def test_a_column_that_tells_nothing_has_no_pieces() -> None:
    """Chance is no reason for a split, however many rows there are."""
    rng = np.random.default_rng(1)
    for rows in (200, 20_000):
        assert not len(edges(rng.normal(size=rows), rng.random(rows) < 0.02, np.ones(rows)))


def test_one_class_or_one_value_has_no_pieces() -> None:
    """Nothing can be split."""
    values, labels = _drawn()
    ones = np.ones(len(values))
    assert not len(edges(values, np.zeros_like(labels), ones))
    assert not len(edges(ones, labels, ones))
    assert not len(edges(np.full(len(values), np.nan), labels, ones))


def test_weights_count_as_rows_do() -> None:
    """Rows of which each stands for ten move no edge: all of them do."""
    values, labels = _drawn()
    one, ten = (edges(values, labels, np.full(len(values), count)) for count in (1.0, 10.0))
    np.testing.assert_array_equal(one, ten)


def test_a_rare_class_is_not_lost_in_a_large_file() -> None:
    """Of more rows than are measured all of a few frauds are taken."""
    rows = MAX_TREE_ROWS + 100_000
    values = np.random.default_rng(2).uniform(0, 1000, rows)
    labels = values > 999.9
    found = edges(values, labels, np.ones(rows))
    assert np.abs(found - 999.9).min() < 0.05


def test_rows_that_are_not_measured_are_evidence_too() -> None:
    """Twice as many rows of one weak rule give it an edge, also where no more of them are measured."""
    values = np.random.default_rng(3).uniform(0, 1000, 2 * MAX_TREE_ROWS)
    place = np.arange(len(values))
    labels = np.where(values > 900, place % 80 == 0, place % 100 == 0)
    half = slice(0, MAX_TREE_ROWS)
    found = [edges(values[rows], labels[rows], np.ones(len(values[rows]))) for rows in (half, slice(None))]
    assert not len(found[0])
    assert len(found[1])


@given(arrays(np.float64, 120, elements=st.floats(width=32)), st.integers(0, 119))
def test_edges_ascend_within_the_values(values: np.ndarray, frauds: int) -> None:
    """Whatever the values: no more pieces than wanted, each of them wider than nothing, none beyond what was seen."""
    found = edges(values, np.arange(120) < frauds, np.ones(120))
    assert len(found) <= 2 * MAX_PIECES
    assert (np.diff(found) > 0).all()
    if len(found):
        seen = values[np.isfinite(values)]
        assert found.min() >= seen.min()
        assert found.max() <= seen.max()

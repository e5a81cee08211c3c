"""Where a number's effect on fraud changes: the edges of its pieces, taken from a small tree of that column alone.

A split is kept only if it tells more of the labels than the best of many splits of a column that means nothing would.
So a column of noise gets no pieces, and more rows give more of them: eight everywhere cost 0.02 of average precision
where there are few frauds, and too few cost 0.001 where there are many (LOG.md).

A split is two edges, the training values on both sides of it: the narrow piece between them is the step that the tree
cuts. With one edge alone a rule is a ramp from the edge before, and what lies just below its threshold looks half like
fraud: that cost 0.015 to 0.02 of average precision on the Handbook, the cards and the simulator (LOG.md).
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from training.ranking import Floats, Labels

MAX_PIECES = 16
MIN_GAIN = 10.0
"""What a split must add to the log-likelihood of the labels, in nats."""
MIN_PIECE_ROWS = 20
"""Training rows."""
MAX_TREE_ROWS = 200_000
"""Largest number of rows that a tree is grown on; up to half of them are of the rarer class."""


def edges(values: Floats, labels: Labels, weights: Floats, most: int = MAX_PIECES) -> NDArray[np.float32]:
    """The edges of a column's pieces, ascending, its smallest and largest value among them; empty without a split.

    Args:
        values: shape (rows,); what is not finite is left out.
        labels: shape (rows,): whether each row was fraud.
        weights: shape (rows,): how many transactions each row stands for.
        most: pieces that the splits may part the column into, from 2; the steps between them are not counted.
    """
    known = np.isfinite(values)
    values, labels, weights = values[known], labels[known], weights[known]
    # A width that float32 cannot hold; as Python's numbers, which overflow without a warning.
    if not len(values) or not float(values.max()) - float(values.min()) <= float(np.finfo(np.float32).max):
        return np.empty(0, dtype=np.float32)
    splits = _splits(values, labels, weights, most).tolist()
    sides = [side for split in splits for side in (values[values <= split].max(), values[values > split].min())]
    result = np.unique(np.array([values.min(), values.max(), *sides], dtype=np.float32))
    return result if len(result) > 2 else np.empty(0, dtype=np.float32)  # noqa: PLR2004 - both ends and nothing between.


def _splits(values: Floats, labels: Labels, weights: Floats, most: int) -> Floats:
    """The tree's thresholds in any order."""
    rows, sampled = _sample(labels)
    drawn = weights[rows] * sampled
    tree = DecisionTreeClassifier(
        criterion="log_loss",
        max_leaf_nodes=most,
        min_samples_leaf=MIN_PIECE_ROWS,
        # In bits a row: scikit-learn's measure. Weights count in proportion alone. The evidence is all rows, not those
        # that were drawn: of the rarer class, which carries it, a large file gives as good as every one.
        min_impurity_decrease=MIN_GAIN / (len(labels) * np.log(2)),
        random_state=0,
    )
    grown = tree.fit(values[rows, None], labels[rows], sample_weight=drawn / drawn.mean()).tree_
    thresholds: Floats = grown.threshold[grown.children_left >= 0]
    return thresholds


def _sample(labels: Labels) -> tuple[NDArray[np.int64], Floats]:
    """Positions of at most MAX_TREE_ROWS rows, and how many rows each of them stands for."""
    if len(labels) <= MAX_TREE_ROWS:
        return np.arange(len(labels)), np.ones(len(labels))
    rng = np.random.default_rng(0)
    rare, usual = sorted((np.flatnonzero(labels), np.flatnonzero(~labels)), key=len)
    few = rng.choice(rare, min(len(rare), MAX_TREE_ROWS // 2), replace=False)
    many = rng.choice(usual, MAX_TREE_ROWS - len(few), replace=False)
    stands_for = [np.full(len(part), len(whole) / max(1, len(part))) for part, whole in ((few, rare), (many, usual))]
    return np.concatenate([few, many]), np.concatenate(stands_for)

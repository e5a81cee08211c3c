"""The trees that stand beside the network: grown so that they are no straw man."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from training.errors import TrainingError
from training.loop import Examples
from training.ranking import Ranking
from training.report.trees import BINS, UNVALIDATED_ROUNDS, averaged, grow

SHARED = Path(__file__).parents[4] / "shared" / "data"


def _rows(seed: int, count: int = 4000, above: float = 990.0) -> Examples:
    """Fraud lies in the top of a column whose other values crowd below it; the second column is noise."""
    rng = np.random.default_rng(seed)
    amounts = rng.uniform(0, 1000, count)
    labels: NDArray[np.bool_] = amounts > above
    return Examples(np.column_stack([amounts, rng.normal(size=count)]).astype(np.float32), labels)


def test_the_bins_and_rounds_are_those_that_validate_best() -> None:
    """Of the coarse and the fine the one with the lower log loss, stopped where that is lowest."""
    train, validation = _rows(0), _rows(1)
    trees = grow(train, validation)
    probabilities = 1 / (1 + np.exp(-trees.logits(validation.matrix)))
    loss = -np.mean(np.log(np.where(validation.labels, probabilities, 1 - probabilities)))
    assert trees.loss == pytest.approx(loss, rel=1e-6)
    assert trees.bins in BINS
    assert str(trees) == f"{trees.bins:,} bins and {trees.rounds} rounds"


def test_the_mean_is_one_of_probabilities() -> None:
    """As log-odds, for calibration; the mean of one is itself, and certain scores stay finite."""
    grown, matrix = [grow(_rows(0), _rows(1), seed=seed) for seed in (0, 1)], _rows(2).matrix
    mean = np.mean([1 / (1 + np.exp(-trees.logits(matrix))) for trees in grown], axis=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-averaged(grown, matrix))), mean, rtol=1e-9)
    np.testing.assert_allclose(averaged(grown[:1], matrix), grown[0].logits(matrix), rtol=1e-6)


def test_a_rule_inside_the_top_bin_takes_fine_bins() -> None:
    """What 255 bins cannot part is no reason to lose against trees."""
    assert grow(_rows(0, 20_000, 998.0), _rows(1, 20_000, 998.0)).bins == max(BINS)


def test_rows_that_count_for_many_change_the_trees() -> None:
    """The weights reach training and validation: where genuine rows stand for ten, all scores are lower."""
    plain = [_rows(seed) for seed in (0, 1)]
    ten = [Examples(r.matrix, r.labels, weights=np.where(r.labels, 1, 10).astype(np.float32)) for r in plain]
    test = _rows(2).matrix
    assert grow(ten[0], ten[1]).logits(test).mean() < grow(plain[0], plain[1]).logits(test).mean()


def test_a_category_is_no_number() -> None:
    """Its codes are parted one by one, not by their order."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 40, 8000)
    labels = np.isin(codes, np.arange(0, 40, 2))
    rows = Examples(codes.astype(np.float32)[:, None], labels)
    trees = grow(rows, rows, codes=[0])
    assert Ranking.of(labels, trees.logits(rows.matrix)).average_precision(np.ones(8000)) > 0.99
    assert trees.booster.dump_model()["tree_info"][0]["tree_structure"]["decision_type"] == "=="


def test_a_validation_of_one_class_cannot_stop_them() -> None:
    """Then they have a number of rounds of their own, and the finest bins."""
    train = _rows(0)
    none = Examples(train.matrix, np.zeros(len(train.labels), dtype=np.bool_))
    trees = grow(train, none)
    assert (trees.bins, trees.rounds) == (max(BINS), UNVALIDATED_ROUNDS)


def test_without_lightgbm_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence, and not as an error of Python."""
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(TrainingError, match="install the extra `training`"):
        grow(_rows(0), _rows(1))


@pytest.mark.skipif(not SHARED.exists() or not importlib.util.find_spec("pyarrow"), reason="needs ../shared/data")
def test_few_frauds_are_enough_to_stop_on() -> None:
    """On the real cards, with 84 frauds to validate on, trees stopped by average precision had .435."""
    frame = pd.read_parquet(SHARED / "cards" / "transactions.parquet").sort_values("Time", kind="stable")
    known = int((frame["Time"] <= 120_162).sum())
    parts = (frame.iloc[: round(0.8 * known)], frame.iloc[round(0.8 * known) : known], frame.iloc[known:])
    names = [*(f"V{number}" for number in range(1, 29)), "Amount"]
    train, validation, test = (
        Examples(part[names].to_numpy(np.float32), part["Class"].to_numpy() == 1, weights=part["weight"].to_numpy())
        for part in parts
    )
    scores = averaged([grow(train, validation, seed=seed) for seed in range(3)], test.matrix)
    assert Ranking.of(test.labels, scores).average_precision(np.asarray(test.weights)) > 0.6

from dataclasses import replace

import numpy as np

from tests.training.report.subjects import subject
from training.ranking import Ranking
from training.report import baselines as rivals
from training.report.baselines import reason_left_out


def test_both_learn_what_there_is_to_learn() -> None:
    """Trees and regression rank the amount's fraud far above chance, with probabilities."""
    about = subject()
    for baseline in rivals.train_baselines(about):
        found = Ranking.of(about.test.labels, baseline.scores).average_precision(about.test.weights)
        assert found > 0.7, baseline.name
        assert ((baseline.scores >= 0) & (baseline.scores <= 1)).all()
        assert abs(float(baseline.scores.mean() - about.test.labels.mean())) < 0.05


def test_they_are_the_same_each_time() -> None:
    """A seed gives the same scores."""
    first, second = (rivals.train_baselines(subject(), seed=4) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.scores, other.scores)


def test_a_validation_of_one_class_still_gives_baselines() -> None:
    """Without both classes there is no early stopping, no calibration, and still a comparison."""
    about = subject()
    assert about.validation is not None
    none = replace(about.validation, labels=np.zeros(len(about.validation.labels), dtype=bool))
    assert len(rivals.train_baselines(replace(about, validation=none))) == 2


def test_holes_and_constant_columns_are_no_obstacle() -> None:
    """A column that is empty in training, or always the same, is learned around."""
    about = subject()
    assert about.train is not None
    matrix = about.train.matrix.copy()
    matrix[:, 6] = np.nan
    matrix[:, 0] = 1.0
    scores = rivals.train_baselines(replace(about, train=replace(about.train, matrix=matrix)))
    assert all(np.isfinite(baseline.scores).all() for baseline in scores)


def test_it_is_said_why_there_is_none() -> None:
    """Without the rows of training, or with one class in them, no rival is trained."""
    about = subject()
    assert about.train is not None
    one = replace(about.train, labels=np.zeros(len(about.train.labels), dtype=bool))
    assert reason_left_out(about) is None
    assert "does not hold the rows" in str(reason_left_out(replace(about, train=None)))
    assert "one class" in str(reason_left_out(replace(about, train=one)))

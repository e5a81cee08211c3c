from dataclasses import replace

import numpy as np
import pytest

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from contract.windows import DAY, HOUR, Aggregate, Window
from tests.training.report.subjects import subject
from training.report import importance
from training.report.importance import groups


def test_what_the_score_reads_is_what_is_important() -> None:
    """A score of the amount alone loses everything with it, and nothing with any other column."""
    found = {each["name"]: each["lost"] for each in importance.importance(subject())}
    assert found.pop("amount") > 0.3
    assert set(found.values()) == {0.0}


def test_it_is_the_same_each_time() -> None:
    """A seed deals the values out in one way."""
    assert importance.importance(subject(), 3) == importance.importance(subject(), 3)


def test_all_history_of_an_entity_is_one_group() -> None:
    """Features are grouped by their column, and history by whose it is."""
    windows = tuple(Window(Aggregate.COUNT, "card", None, days * DAY, HOUR) for days in (1, 7))
    columns = (Column("time", Kind.TIMESTAMP), Column("card", Kind.ENTITY), Column("amount", Kind.NUMBER))
    features = (
        Feature("amount", FeatureKind.NUMBER, "amount"),
        Feature("log(amount)", FeatureKind.LOG, "amount"),
        *(Feature(window.name, FeatureKind.NUMBER, window.name) for window in windows),
    )
    found = groups(Contract("cards", columns, features, windows))
    assert found == {"amount": [0, 1], "history of card": [2, 3]}


def test_many_rows_are_drawn_and_weighted() -> None:
    """Of a large test some of each class are drawn, and count as all of them."""
    about = subject()
    times = 60
    test = replace(
        about.test,
        matrix=np.tile(about.test.matrix, (times, 1)),
        labels=np.tile(about.test.labels, times),
        weights=np.tile(about.test.weights, times),
    )
    rows, weights = importance._sample(replace(about, test=test), np.random.default_rng(0))
    assert len(rows) <= importance.MAX_ROWS
    assert weights[test.labels[rows]].sum() == test.labels.sum()
    assert weights.sum() == pytest.approx(len(test.labels))

"""Two versions on the same rows: which rows are fair, and who ranks them better."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from contract.schema import Contract
from tests.tiny import card
from tests.training import rows
from training import data
from training.errors import TrainingError
from training.paired_evaluation import (
    UNMEASURABLE,
    Incomparable,
    PairedScores,
    ScoredVersion,
    evaluate_pairs,
    score_both,
)
from training.schema import parse_schema

ROWS, TESTED = 200, 30
DAY = "2026-01-{day:02d}T{hour:02d}:00:00+00:00"


@st.composite
def rankings(draw: st.DrawFn) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
    """Labels with a fraud among them, and two versions' scores, with ties."""
    labels = np.array(draw(st.lists(st.booleans(), min_size=1, max_size=60)), dtype=np.bool_)
    assume(labels.any())
    lists = st.lists(st.integers(0, 8), min_size=len(labels), max_size=len(labels))
    new, live = (np.array([score / 8 for score in draw(lists)], dtype=np.float32) for _ in range(2))
    return labels, new, live


@given(rankings())
@settings(max_examples=50, deadline=None)
def test_average_precision_is_the_usual_one(
    ranked: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """On the rows themselves both figures are what scikit-learn computes, ties included."""
    labels, new, live = ranked
    outcome = evaluate_pairs(labels, new, live)
    assert outcome.new == pytest.approx(average_precision_score(labels, new))
    assert outcome.live == pytest.approx(average_precision_score(labels, live))


@given(rankings(), st.data())
@settings(max_examples=50, deadline=None)
def test_rows_count_as_often_as_they_stand_for(
    ranked: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]], drawn: st.DataObject
) -> None:
    """Average precision is that of rows written out as often as their weights say."""
    labels, new, live = ranked
    times = np.array(drawn.draw(st.lists(st.integers(1, 5), min_size=len(labels), max_size=len(labels))))
    outcome = evaluate_pairs(labels, new, live, times.astype(np.float64))
    again = [np.repeat(each, times) for each in (labels, new, live)]
    assert outcome.new == pytest.approx(average_precision_score(again[0], again[1]))
    assert outcome.live == pytest.approx(average_precision_score(again[0], again[2]))


@given(rankings())
@settings(max_examples=50, deadline=None)
def test_nobody_beats_a_perfect_ranking(
    ranked: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Against a live version that makes no mistake, no other one is ever found better."""
    labels, new, _ = ranked
    assert evaluate_pairs(labels, new, labels.astype(np.float32)).low <= 0


@given(rankings())
@settings(max_examples=50, deadline=None)
def test_the_same_ranking_is_a_tie(
    ranked: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Other scores in the same order are no better and no worse."""
    labels, new, _ = ranked
    outcome = evaluate_pairs(labels, (new / 2).astype(np.float32), new)
    assert outcome.new == outcome.live
    assert {outcome.low, outcome.high} <= {0.0, UNMEASURABLE}


def test_a_clear_gain_is_found_and_repeated() -> None:
    """With a hundred frauds a better ranking wins in nine of ten resamples, and each time anew."""
    rng = np.random.default_rng(0)
    labels = np.arange(2000) < 100
    noise = rng.normal(size=2000)
    new, live = ((noise + gain * labels).astype(np.float32) for gain in (3.0, 1.5))
    assert evaluate_pairs(labels, new, live).low > 0.1
    assert evaluate_pairs(labels, new, live) == evaluate_pairs(labels, new, live)
    assert evaluate_pairs(labels, live, new).high == pytest.approx(-evaluate_pairs(labels, new, live).low)


@pytest.mark.parametrize("frauds", [1, 2])
def test_nobody_wins_by_one_or_two_frauds(frauds: int) -> None:
    """However well they are ranked: too many resamples would have none of them."""
    labels = np.arange(1000) < frauds
    assert evaluate_pairs(labels, labels.astype(np.float32), (~labels).astype(np.float32)).low < 0


def test_without_fraud_nothing_is_ranked() -> None:
    """No fraud in the period, no comparison."""
    with pytest.raises(Incomparable, match="no fraud"):
        evaluate_pairs(np.zeros(50, dtype=np.bool_), np.ones(50, dtype=np.float32), np.ones(50, dtype=np.float32))


def test_a_single_row_is_a_tie() -> None:
    """One row, a fraud: both rank it first."""
    outcome = evaluate_pairs(np.array([True]), np.array([0.9], dtype=np.float32), np.array([0.1], dtype=np.float32))
    assert (outcome.new, outcome.live, outcome.low, outcome.high) == (1.0, 1.0, 0.0, 0.0)


def _csv(column: str = "amount") -> bytes:
    """Eight rows an hour apart each day from 1 to 25 January, the newest first, fraud in every tenth."""
    lines = [f"ref,when,{column},age,channel,fraud"]
    for row in reversed(range(ROWS)):
        when = DAY.format(day=1 + row // 8, hour=row % 8)
        lines.append(f"r{row},{when},{row},30,chip,{int(row % 10 == 0)}")
    return ("\n".join(lines) + "\n").encode()


def _baseline(contract: Contract, facts: Mapping[str, Any]) -> ScoredVersion:
    """A version that scores a row by its amount."""
    return ScoredVersion(contract, replace(card(1), data=facts), lambda matrix: matrix[:, rows.AMOUNT])


def _facts(body: bytes, learned: object = DAY.format(day=21, hour=0)) -> dict[str, Any]:
    """What a card tells of its data."""
    periods = {"validation": {"last": learned}, "test": {"rows": TESTED}}
    return {"sha256": data.from_csv(rows.contract(), body).sha256, "periods": periods}


def _read(body: bytes) -> Callable[[Contract], data.LabelledTransactions]:
    return partial(data.from_csv, body=body)


def _met(live: Mapping[str, Any], contract: Contract | None = None) -> PairedScores:
    body = _csv()
    new = _baseline(rows.contract(), _facts(body))
    return score_both(new, _baseline(contract or rows.contract(), live), _read(body))


def test_the_same_data_has_the_same_test_period() -> None:
    """A live version that was trained on this file has not learned from its newest rows."""
    evaluation = _met(_facts(_csv()))
    assert evaluation.new.tolist() == list(range(ROWS - TESTED, ROWS))
    assert (evaluation.first, evaluation.last) == (DAY.format(day=22, hour=2), DAY.format(day=25, hour=7))


def test_both_score_the_same_rows() -> None:
    """Row for row, with this row's label."""
    evaluation = _met(_facts(_csv()))
    assert evaluation.new.tolist() == evaluation.live.tolist()
    assert evaluation.labels.tolist() == [row % 10 == 0 for row in range(ROWS - TESTED, ROWS)]


HISTORY = """
[columns.card]
kind = "entity"
[[history]]
entity = "card"
aggregates = [{aggregates}]
windows = ["30d"]
"""


def _remembering(aggregates: str) -> ScoredVersion:
    """A version that scores a row by its last feature: one of history, of a file in which all rows are one card's."""
    contract = parse_schema(rows.SCHEMA + HISTORY.format(aggregates=aggregates)).contract({})
    return ScoredVersion(contract, replace(card(1), data=_facts(_csv())), lambda matrix: matrix[:, -1])


def test_each_version_scores_by_its_own_history() -> None:
    """Of the whole data: the past of a tested row begins before its period, and one version may have none."""
    body = b"\n".join(line + (b",c1" if place else b",card") for place, line in enumerate(_csv().splitlines()))
    facts = _facts(_csv()) | {"sha256": data.from_csv(rows.contract(), body).sha256}
    new, live = (replace(_remembering(each), card=replace(card(1), data=facts)) for each in ('"count"', '"risk"'))
    evaluation = score_both(new, live, _read(body))
    assert evaluation.new.tolist() == list(range(ROWS - TESTED, ROWS))
    assert 0 < evaluation.live.min() < evaluation.live.max() < 0.2
    plain = ScoredVersion(rows.contract(), replace(card(1), data=facts), lambda matrix: matrix[:, rows.AMOUNT])
    assert score_both(new, plain, _read(body)).new.tolist() == score_both(plain, new, _read(body)).live.tolist()


def test_rows_that_the_live_version_learned_from_are_left_out() -> None:
    """Only what lies after the end of its validation period counts; that moment itself does not."""
    learned = _facts(_csv(), learned=DAY.format(day=24, hour=6)) | {"sha256": "another"}
    assert _met(learned).new.tolist() == list(range(191, 200))


def test_where_nothing_is_left_nothing_is_compared() -> None:
    """A live version that was trained on newer data has seen it all."""
    with pytest.raises(Incomparable, match="has learned from the newest period"):
        _met(_facts(_csv(), learned=DAY.format(day=30, hour=0)) | {"sha256": "another"})


@pytest.mark.parametrize("learned", [None, "soon", {}])
def test_a_card_without_its_end_is_not_trusted(learned: object) -> None:
    """Where the live version's card does not tell until when it learned, nothing is compared."""
    with pytest.raises(Incomparable, match="nobody knows"):
        _met(_facts(_csv(), learned=learned) | {"sha256": "another"})


def test_a_card_without_periods_is_not_trusted() -> None:
    """As an earlier release may have written it."""
    with pytest.raises(Incomparable, match="nobody knows"):
        _met({})


def test_data_without_times_is_compared_only_on_the_same_file() -> None:
    """Without a column of time only the same file, cut alike, tells which rows are new."""
    timeless = parse_schema(rows.SCHEMA.replace('[columns.when]\nkind = "timestamp"\n', "")).contract({})
    score = lambda matrix: matrix[:, 0]  # noqa: E731 - its columns are other ones than the shared rival's.
    same, other = (
        ScoredVersion(timeless, replace(card(1), data=_facts(_csv()) | more), score) for more in ({}, {"rows": 1})
    )
    assert len(score_both(same, other, _read(_csv())).labels) == TESTED
    other = replace(other, card=replace(card(1), data=_facts(_csv()) | {"sha256": "another"}))
    with pytest.raises(Incomparable, match="without times"):
        score_both(same, other, _read(_csv()))


def test_another_label_is_another_question() -> None:
    """A live version that predicts another column is not compared with."""
    with pytest.raises(Incomparable, match="another column"):
        _met(_facts(_csv()), parse_schema(rows.SCHEMA.replace("columns.fraud", "columns.chargeback")).contract({}))


def test_the_words_of_a_label_are_the_new_versions() -> None:
    """A live version of a file with other words is compared all the same."""
    body = "\n".join(
        line[:-1] + ("Yes" if line.endswith("1") else "No") if place else line
        for place, line in enumerate(_csv().decode().splitlines())
    ).encode()
    lists = 'kind = "label"\nfraud = ["Yes"]\ngenuine = ["No"]'
    words = parse_schema(rows.SCHEMA.replace('kind = "label"', lists)).contract({"channel": ("chip", "online")})
    facts = _facts(_csv()) | {"sha256": data.from_csv(words, body).sha256}
    evaluation = score_both(_baseline(words, facts), _baseline(rows.contract(), facts), _read(body))
    assert evaluation.labels.tolist() == [row % 10 == 0 for row in range(ROWS - TESTED, ROWS)]


def test_a_column_that_the_data_lacks_is_named() -> None:
    """A live version that needs it cannot score this data."""
    with pytest.raises(Incomparable, match=r"cannot score this data.*value"):
        _met(_facts(_csv()), parse_schema(rows.SCHEMA.replace("columns.amount", "columns.value")).contract({}))


def test_changed_data_is_not_compared_on() -> None:
    """The rows that the new version was trained on must still be those of the file."""
    new = _baseline(rows.contract(), _facts(_csv()) | {"sha256": "before"})
    with pytest.raises(TrainingError, match="has changed since the training"):
        score_both(new, new, _read(_csv()))

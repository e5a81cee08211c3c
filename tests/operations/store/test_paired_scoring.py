"""Two versions on the same rows."""

from dataclasses import replace
from operator import itemgetter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import DecisionBands
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, TimeFormat
from contract.windows import Aggregate, Window
from operations.store.paired_scoring import (
    CsvRows,
    SamplePair,
    Scores,
    ScoreSample,
    VersionScorer,
    score_shared_rows,
)
from releases.trial_counts import SCORE_EDGES

PROBABILITIES = st.lists(st.floats(0, 1, width=32)).map(lambda values: np.array(values, dtype=np.float32))


def scorer(*others: str, maximum: float = 1000.0) -> VersionScorer:
    """A version whose probability is a thousandth of the amount; it demands these other columns, too."""
    columns = (Column("amount", Kind.NUMBER, minimum=0.0, maximum=maximum), *(Column(name, Kind.ID) for name in others))
    contract = Contract("c", columns, (Feature("amount", FeatureKind.NUMBER, "amount"),))
    return VersionScorer(contract, DecisionBands(0.5, 0.9), lambda matrix: matrix[:, 0] / np.float32(1000))


def amounts(scores: Scores) -> list[int]:
    """The amounts that made these probabilities."""
    return [round(1000 * float(each)) for each in scores]


@given(st.lists(st.integers(0, 1000)), st.integers(0, 1000), st.integers(0, 1000))
def test_both_score_the_rows_that_both_can_read(rows: list[int], first: int, second: int) -> None:
    """A row outside the bounds of either is scored by neither, and the others are in the file's order for both."""
    text = "\n".join(["amount", *map(str, rows)]).encode()
    ours, theirs = score_shared_rows(CsvRows(text), scorer(maximum=first), scorer(maximum=second))
    assert amounts(ours) == amounts(theirs) == [amount for amount in rows if amount <= min(first, second)]


def test_a_column_that_only_one_knows_hinders_nobody() -> None:
    """Rows that have the columns of both are read by both; each by its own score."""
    doubled = replace(scorer("claim"), score=lambda matrix: matrix[:, 0] / np.float32(500))
    ours, theirs = score_shared_rows(CsvRows(b"amount,card,claim\n7,a,b\n"), scorer("card"), doubled)
    assert (amounts(ours), amounts(theirs)) == ([7], [14])


@pytest.mark.parametrize("text", [b"amount\n7\n", b"", b"\xff", b"amount,card,other\n7,a,b\n", b'amount,card\n"7'])
def test_what_one_of_them_cannot_read_is_scored_by_neither(text: bytes) -> None:
    """A column that is missing or that nobody knows, and what is no table at all, leave nothing to compare."""
    ours, theirs = score_shared_rows(CsvRows(text), scorer(), scorer("card"))
    assert (ours.shape, theirs.shape) == ((0,), (0,))


def test_rows_come_with_their_past() -> None:
    """A history feature has the value that its row brought, also where others are refused, else its neutral one."""
    brought, unknown = (Window(Aggregate.COUNT, "card", None, days * 86400, 3600) for days in (1, 7))
    columns = (
        *(Column("amount", Kind.NUMBER, maximum=10.0), Column("card", Kind.ENTITY)),
        Column("when", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS),
    )
    features = tuple(Feature(each.name, FeatureKind.NUMBER, each.name) for each in (brought, unknown))
    contract = Contract("c", columns, features, (brought, unknown))
    first, second = (VersionScorer(contract, DecisionBands(0.5, 0.9), itemgetter((slice(None), at))) for at in (0, 1))
    text = b"amount,card,when\n1,a,0\n99,a,1\n2,a,2\n"
    ours, theirs = score_shared_rows(CsvRows(text, {brought.name: np.array([5.0, 6.0, 7.0])}), first, second)
    assert (ours.tolist(), theirs.tolist()) == ([5.0, 7.0], [0.0, 0.0])


@given(PROBABILITIES, st.floats(0, 1))
def test_the_same_rows_are_counted_as_pairs(probabilities: Scores, review: float) -> None:
    """Each side's bins are the margins of the pairs."""
    both = SamplePair.of((DecisionBands(review, 1.0), probabilities), (DecisionBands(review, 1.0), probabilities[::-1]))
    assert both.joint is not None
    assert tuple(both.joint.sum(axis=1)) == both.before.scores
    assert tuple(both.joint.sum(axis=0)) == both.after.scores


@given(PROBABILITIES, st.floats(0, 1))
def test_a_sample_counts_every_row_once(probabilities: Scores, review: float) -> None:
    """All that reach the lower threshold are flagged, and each row is in one bin."""
    sample = ScoreSample.of(DecisionBands(review, 1.0), probabilities)
    assert sample.rows == len(probabilities) == sum(sample.scores)
    assert sample.flagged == sum(float(each) >= review for each in probabilities)
    assert len(sample.scores) == len(SCORE_EDGES) + 1


def test_no_rows_have_an_alert_rate() -> None:
    """Of no rows none is flagged."""
    assert ScoreSample.of(DecisionBands(0.5, 0.9), np.empty(0, dtype=np.float32)).alert_rate == 0

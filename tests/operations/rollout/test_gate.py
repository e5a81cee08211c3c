"""The gate before a release; within a release it is tested in test_release.py."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import CARDS_OWN, Bands, Thresholds
from contract.tally import Side, Tally, score_counts
from operations.rollout.gate import ENOUGH_COUNTED, check, counted, scored, shift
from operations.store.side_by_side import Sample
from tests.operations.fake_torchserve import FakeTorchServe
from tests.tiny import card

BANDS = Bands(0.1, 0.5)


def sample(rows: int, flagged: int) -> Sample:
    """Rows of which some have a high score."""
    scores = np.concatenate([np.full(flagged, 0.4), np.full(rows - flagged, 0.0001)])
    return Sample(rows, flagged, score_counts(scores))


@given(st.integers(1, 10_000).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(0, rows))))
def test_no_change_passes(rows_and_flagged: tuple[int, int]) -> None:
    """The same scores and decisions pass, however many there are."""
    assert shift(sample(*rows_and_flagged), sample(*rows_and_flagged)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [((10_000, 100), (10_000, 201)), ((10_000, 201), (10_000, 100)), ((10_000, 0), (10_000, 51)), ((64, 2), (64, 6))],
)
def test_a_far_other_alert_rate_does_not_pass(before: tuple[int, int], after: tuple[int, int]) -> None:
    """More than twice as many alerts, or less than half, is told with both rates."""
    assert "would flag" in str(shift(sample(*before), sample(*after)))


@pytest.mark.parametrize(
    ("before", "after"), [((10_000, 100), (10_000, 199)), ((10_000, 10), (10_000, 55)), ((64, 1), (64, 4))]
)
def test_a_small_change_passes(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Up to twice as many, half a percent of all, or three rows pass."""
    assert shift(sample(*before), sample(*after)) is None


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_direction_does_not_matter(first: int, second: int) -> None:
    """What stops a release stops the way back through the gate too."""
    one, other = sample(1000, first), sample(1000, second)
    assert (shift(one, other) is None) == (shift(other, one) is None)


def test_other_scores_do_not_pass_though_as_many_are_flagged() -> None:
    """Scores of another population are told although no decision changes."""
    low, high = np.full(1000, 0.0005), np.full(1000, 0.05)
    assert "scores otherwise" in str(shift(Sample(1000, 0, score_counts(low)), Sample(1000, 0, score_counts(high))))


def test_what_passes_is_said() -> None:
    """The comparison is a line of the release."""
    said: list[str] = []
    check(1, 2, (sample(100, 1), sample(100, 2)), said.append)
    assert said == ["version 2: comparing with version 1: 1.0% of 100 rows flagged, now 2.0%"]


@pytest.mark.parametrize(("rows", "enough"), [(ENOUGH_COUNTED - 1, False), (ENOUGH_COUNTED, True)])
def test_a_trial_must_have_counted_enough(rows: int, enough: bool) -> None:
    """A few live transactions are no better than golden rows."""
    tally, scores = Tally(), np.full(rows, 0.2)
    for side in Side:
        tally.scored(side, scores, BANDS.decide(scores), 0.01)
    samples = counted(tally)
    assert (samples is not None) is enough


@pytest.mark.parametrize(
    ("thresholds", "flagged"), [(CARDS_OWN, (1, 3)), (Thresholds(0.3, 0.6), (2, 2)), (Thresholds(0.0), (4, 4))]
)
def test_both_are_judged_by_the_thresholds_in_force(
    torchserve: FakeTorchServe, thresholds: Thresholds, flagged: tuple[int, int]
) -> None:
    """Each decides by its own card, but where the gateways override it."""
    torchserve.registered = {1: ["READY"], 2: ["READY"]}
    torchserve.descriptions[2] = replace(torchserve.describe(2), card=card(2, Bands(0.1, 0.1)))
    rows = b"payment,amount\na,0\nb,1\nc,1.5\nd,3\n"  # Probabilities of 0, 0.25, 0.375 and 0.75.
    before, after = scored(torchserve.server(), 1, 2, rows, thresholds)
    assert (before.rows, after.rows) == (4, 4)
    assert (before.flagged, after.flagged) == flagged

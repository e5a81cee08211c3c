"""The counts that a trial is judged by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import Decision, DecisionBands
from releases.record import Trial, TrialKind
from releases.trial_counts import SCORE_EDGES, TrialArm, TrialCounts, score_counts, stability_index, trial_key

SCORES = st.lists(st.floats(0, 1, width=32), max_size=30).map(lambda scores: np.array(scores, dtype=np.float32))
BANDS = DecisionBands(0.1, 0.5)


def counts_of(*requests: np.ndarray, arm: TrialArm = TrialArm.LIVE) -> TrialCounts:
    """A tally of requests with these scores."""
    counts = TrialCounts()
    for scores in requests:
        counts.scored(arm, scores, BANDS.decide(scores), 0.004)
    return counts


@given(st.lists(SCORES, max_size=5), st.lists(SCORES, max_size=5))
def test_gateways_add_up_to_one(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    """The total of two gateways is the tally of one gateway that had all their requests."""
    assert TrialCounts.total([counts_of(*first), counts_of(*second)]).counts == counts_of(*first, *second).counts


@given(SCORES)
def test_every_row_is_counted_once(scores: np.ndarray) -> None:
    """Decisions and score bins each add up to the rows, and the bins are those of score_counts."""
    arm = counts_of(scores).arm(TrialArm.LIVE)
    assert arm.rows == sum(arm.scores) == len(scores)
    assert arm.scores == score_counts(scores)
    assert arm.flagged == sum(decision is not Decision.APPROVE for decision in BANDS.decide(scores))


def test_sides_do_not_mix() -> None:
    """What the version on trial did is no part of what the live one did."""
    assert counts_of(np.array([0.2]), arm=TrialArm.TRIAL).arm(TrialArm.LIVE).rows == 0


def test_a_failure_is_a_request_without_rows() -> None:
    """A failed request counts towards the error rate and the latency."""
    counts = counts_of(np.array([0.2]))
    counts.failed(TrialArm.LIVE, 10.0)
    arm = counts.arm(TrialArm.LIVE)
    assert (arm.requests, arm.errors, arm.rows, arm.error_rate) == (2, 1, 1, 0.5)
    assert arm.latency(0.95) >= 10.0


def test_decisions_that_differ_are_counted() -> None:
    """Rows that both sides scored are compared one by one."""
    counts = TrialCounts()
    counts.compared([Decision.APPROVE, Decision.REVIEW], [Decision.APPROVE, Decision.DECLINE])
    assert (counts.compared_rows, counts.differing_decisions) == (2, 1)


@pytest.mark.parametrize("seconds", [0.0005, 0.001, 0.0042, 0.3, 9.9])
def test_a_quantile_is_at_most_a_fifth_too_high(seconds: float) -> None:
    """The latency comes from bins: never below what was measured, and at most 19% above, or 1 ms."""
    counts = TrialCounts()
    counts.failed(TrialArm.TRIAL, seconds)
    assert seconds <= counts.arm(TrialArm.TRIAL).latency(0.95) <= max(seconds * 1.19, 0.001) + 1e-9


def test_an_empty_side_has_no_rates() -> None:
    """Where nothing was scored, every rate is 0 and not an error."""
    arm = TrialCounts().arm(TrialArm.TRIAL)
    assert (arm.alert_rate, arm.error_rate, arm.latency(0.5)) == (0, 0, 0)


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7), st.lists(st.integers(0, 1000), min_size=7, max_size=7))
def test_the_stability_index_is_a_distance(first: list[int], second: list[int]) -> None:
    """It is 0 for equal distributions, never negative, and the same in both directions."""
    assert stability_index(first, first) == 0
    assert stability_index(first, second) >= 0
    assert stability_index(first, second) == pytest.approx(stability_index(second, first))


def test_another_distribution_is_above_the_bound() -> None:
    """Scores that all move up by two bins are far beyond 0.25, the usual bound for "another population"."""
    low, high = np.full(100, SCORE_EDGES[0] / 2), np.full(100, SCORE_EDGES[2])
    assert stability_index(score_counts(low), score_counts(high)) > 1


def test_a_second_trial_of_a_version_counts_anew() -> None:
    """The key names the version and when its trial started."""
    keys = {trial_key(Trial(TrialKind.CANARY, 5, 0.1, started)) for started in ("a", "b")}
    assert keys == {"fraud:trial:5:a", "fraud:trial:5:b"}

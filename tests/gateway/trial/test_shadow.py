"""A shadow is compared, and nobody waits for it."""

from collections import Counter

import httpx
import numpy as np
import pytest

from contract.decision import DecisionBands
from gateway.trial import shadow
from releases.trial_counts import TrialArm, TrialCounts
from tests.gateway.trials import (
    IDS,
    ON_TRIAL,
    OTHER,
    SHADOW,
    UNION,
    TrialGateway,
    expected,
    probability,
    rows,
    versions,
)
from tests.tiny import BANDS


def both(trial_counts: TrialCounts) -> dict[str, int]:
    """The counts of pairs of decisions."""
    return {name: count for name, count in trial_counts.counts.items() if name.startswith("both:")}


def decisions(bands: DecisionBands) -> Counter[str]:
    """What they are to be for one upload of `rows()`."""
    pairs = [bands.decide(np.array([probability(each, version) for version in (1, 2)])) for each in ON_TRIAL]
    return Counter(f"both:{live_counts}:{trial_model}" for live_counts, trial_model in pairs)


def test_a_shadow_never_answers_and_is_compared(trial_gateway: TrialGateway) -> None:
    """Every row has the live version's score; exactly the shadow's share is counted on both sides."""
    trial_gateway.start(SHADOW, review_threshold=0.3, decline_threshold=0.9)
    assert versions(trial_gateway.upload(rows())) == expected(set())
    trial_gateway.wait_for_count(SHADOW, "trial:requests")
    trial_counts = trial_gateway.valkey.trial_counts(SHADOW)
    live, trial = trial_counts.arm(TrialArm.LIVE), trial_counts.arm(TrialArm.TRIAL)
    assert (live.rows, trial.rows, trial_counts.compared_rows) == (len(ON_TRIAL),) * 3
    assert both(trial_counts) == decisions(DecisionBands(0.3, 0.9))
    assert trial_counts.differing_decisions > 0
    assert min(live.latency(0.5), trial.latency(0.5)) > 0


def test_a_large_file_is_compared_likewise(trial_gateway: TrialGateway) -> None:
    """What is read in a thread is compared row for row."""
    trial_gateway.start(SHADOW, contract=OTHER)
    trial_gateway.upload(rows(IDS * 50, UNION))
    trial_gateway.wait_for_count(SHADOW, "trial:requests")
    assert both(trial_gateway.valkey.trial_counts(SHADOW)) == {
        name: 50 * count for name, count in decisions(BANDS).items()
    }


@pytest.mark.parametrize("failure", [httpx.Response(503), RuntimeError("secret"), httpx.Response(200, content=b"x")])
def test_a_failing_shadow_fails_no_request(trial_gateway: TrialGateway, failure: Exception | httpx.Response) -> None:
    """However the shadow fails, the answer is the live version's; it is counted, and said in a line without values."""
    trial_gateway.start(SHADOW)
    trial_gateway.model_server.failing[2] = failure
    assert versions(trial_gateway.upload(rows())) == expected(set())
    counts = trial_gateway.wait_for_count(SHADOW, "trial:errors")
    assert (counts["live:requests"], counts["dropped"]) == (0, 0)


def test_no_request_waits_for_a_hanging_shadow(trial_gateway: TrialGateway) -> None:
    """While as many as may be compared hang, requests are answered and their rows counted as dropped."""
    trial_gateway.start(SHADOW, deadline_seconds=60)
    trial_gateway.model_server.hanging.add(2)
    for _ in range(shadow.MAX_COMPARISONS + 2):
        assert versions(trial_gateway.upload(rows())) == expected(set())
    counts = trial_gateway.wait_for_count(SHADOW, "dropped", 2 * len(ON_TRIAL))
    assert (counts["dropped"], counts["trial:requests"]) == (2 * len(ON_TRIAL), 0)


def test_a_hanging_shadow_is_given_up_at_the_deadline(trial_gateway: TrialGateway) -> None:
    """It counts as failed, and the next request is compared."""
    trial_gateway.start(SHADOW, deadline_seconds=2)
    trial_gateway.model_server.hanging.add(2)
    trial_gateway.upload(rows())
    assert trial_gateway.wait_for_count(SHADOW, "trial:errors")["trial:errors"] == 1
    trial_gateway.model_server.hanging.clear()
    trial_gateway.upload(rows())
    trial_gateway.wait_for_count(SHADOW, "trial:score:5")
    assert both(trial_gateway.valkey.trial_counts(SHADOW)) == decisions(BANDS)


def test_a_shadow_with_other_columns_leaves_out_what_it_cannot_read(trial_gateway: TrialGateway) -> None:
    """Rows that lack its columns are counted as unreadable and not compared."""
    trial_gateway.start(SHADOW, contract=OTHER)
    trial_gateway.upload(rows())
    counts = trial_gateway.wait_for_count(SHADOW, "unreadable")
    assert (counts["unreadable"], counts["trial:requests"]) == (len(ON_TRIAL), 0)

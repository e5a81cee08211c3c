"""A shadow is compared, and nobody waits for it."""

from collections import Counter

import httpx
import numpy as np
import pytest

from contract.decision import DecisionBands
from gateway.trial import shadow
from releases.trial_counts import TrialArm, TrialCounts
from tests.gateway.trials import IDS, ON_TRIAL, OTHER, SHADOW, UNION, Tried, expected, probability, rows, versions
from tests.tiny import BANDS


def both(tally: TrialCounts) -> dict[str, int]:
    """The counts of pairs of decisions."""
    return {name: count for name, count in tally.counts.items() if name.startswith("both:")}


def decisions(bands: DecisionBands) -> Counter[str]:
    """What they are to be for one upload of `rows()`."""
    pairs = [bands.decide(np.array([probability(each, version) for version in (1, 2)])) for each in ON_TRIAL]
    return Counter(f"both:{ours}:{theirs}" for ours, theirs in pairs)


def test_a_shadow_never_answers_and_is_compared(tried: Tried) -> None:
    """Every row has the live version's score; exactly the shadow's share is counted on both sides."""
    tried.start(SHADOW, review_threshold=0.3, decline_threshold=0.9)
    assert versions(tried.upload(rows())) == expected(set())
    tried.counted(SHADOW, "trial:requests")
    tally = tried.valkey.tally(SHADOW)
    live, trial = tally.arm(TrialArm.LIVE), tally.arm(TrialArm.TRIAL)
    assert (live.rows, trial.rows, tally.rows_compared) == (len(ON_TRIAL),) * 3
    assert both(tally) == decisions(DecisionBands(0.3, 0.9))
    assert tally.decisions_that_differ > 0
    assert min(live.latency(0.5), trial.latency(0.5)) > 0


def test_a_large_file_is_compared_likewise(tried: Tried) -> None:
    """What is read in a thread is compared row for row."""
    tried.start(SHADOW, contract=OTHER)
    tried.upload(rows(IDS * 50, UNION))
    tried.counted(SHADOW, "trial:requests")
    assert both(tried.valkey.tally(SHADOW)) == {name: 50 * count for name, count in decisions(BANDS).items()}


@pytest.mark.parametrize("failure", [httpx.Response(503), RuntimeError("secret"), httpx.Response(200, content=b"x")])
def test_a_failing_shadow_fails_nobody(tried: Tried, failure: Exception | httpx.Response) -> None:
    """However the shadow fails, the answer is the live version's; it is counted, and said in a line without values."""
    tried.start(SHADOW)
    tried.model_server.failing[2] = failure
    assert versions(tried.upload(rows())) == expected(set())
    counts = tried.counted(SHADOW, "trial:errors")
    assert (counts["live:requests"], counts["dropped"]) == (0, 0)


def test_nobody_waits_for_a_hanging_shadow(tried: Tried) -> None:
    """While as many as may be compared hang, requests are answered and their rows counted as dropped."""
    tried.start(SHADOW, deadline_seconds=60)
    tried.model_server.hanging.add(2)
    for _ in range(shadow.MAX_COMPARISONS + 2):
        assert versions(tried.upload(rows())) == expected(set())
    counts = tried.counted(SHADOW, "dropped", 2 * len(ON_TRIAL))
    assert (counts["dropped"], counts["trial:requests"]) == (2 * len(ON_TRIAL), 0)


def test_a_hanging_shadow_is_given_up_at_the_deadline(tried: Tried) -> None:
    """It counts as failed, and the next request is compared."""
    tried.start(SHADOW, deadline_seconds=2)
    tried.model_server.hanging.add(2)
    tried.upload(rows())
    assert tried.counted(SHADOW, "trial:errors")["trial:errors"] == 1
    tried.model_server.hanging.clear()
    tried.upload(rows())
    tried.counted(SHADOW, "trial:score:5")
    assert both(tried.valkey.tally(SHADOW)) == decisions(BANDS)


def test_a_shadow_with_other_columns_leaves_out_what_it_cannot_read(tried: Tried) -> None:
    """Rows that lack its columns are counted as unreadable and not compared."""
    tried.start(SHADOW, contract=OTHER)
    tried.upload(rows())
    counts = tried.counted(SHADOW, "unreadable")
    assert (counts["unreadable"], counts["trial:requests"]) == (len(ON_TRIAL), 0)

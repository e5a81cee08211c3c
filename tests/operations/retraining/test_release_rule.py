"""The rule by which a trained version is released."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import OperationsError
from operations.retraining.release_rule import (
    ComparedVersion,
    ReleaseCriteria,
    ReleaseMode,
    Verdict,
    VersionComparison,
    objection,
)
from operations.store.paired_scoring import ScoreSample

ANSWERING = (ReleaseMode.CANARY, ReleaseMode.LIVE)
RELEASED = (ReleaseMode.SHADOW, *ANSWERING)
shares = st.floats(0, 1)


def compared(
    new: float = 0.8, live: float = 0.7, low: float = 0.05, flagged: int = 100, before: int = 100
) -> VersionComparison:
    """A comparison on 10,000 rows."""
    ours, theirs = (
        ComparedVersion(new, ScoreSample(10_000, flagged, ())),
        ComparedVersion(live, ScoreSample(10_000, before, ())),
    )
    return VersionComparison("2026-04-01T00:00:00+00:00", "2026-04-30T00:00:00+00:00", 80, ours, theirs, low, high=0.2)


@pytest.mark.parametrize("goal", RELEASED)
def test_a_better_version_passes(goal: ReleaseMode) -> None:
    """Better in nine of ten resamples, with as many alerts: it is released, however it was asked for."""
    assert objection(ReleaseCriteria(goal), compared()) is None


@given(low=shares, margin=shares)
def test_the_interval_must_lie_above_the_margin(low: float, margin: float) -> None:
    """To answer, a version must win by more than the margin; as much as the margin is not more."""
    passed = [objection(ReleaseCriteria(goal, margin), compared(low=low)) is None for goal in ANSWERING]
    assert passed == [low > margin] * 2


@given(new=shares, live=shares, margin=shares)
def test_a_shadow_may_be_worse_by_the_margin(new: float, live: float, margin: float) -> None:
    """What is only scored beside must not be worse by more than the margin, whatever chance can explain."""
    passed = objection(ReleaseCriteria(ReleaseMode.SHADOW, margin), compared(new=new, live=live, low=-1.0)) is None
    assert passed == (new - live >= -margin)


@pytest.mark.parametrize("goal", ANSWERING)
def test_a_tie_is_not_better(goal: ReleaseMode) -> None:
    """An equal version is not released to answer."""
    assert "no better: +0.000" in str(objection(ReleaseCriteria(goal), compared(new=0.7, live=0.7, low=0.0)))


@pytest.mark.parametrize("goal", ANSWERING)
def test_chance_is_named_where_it_may_explain_a_lead(goal: ReleaseMode) -> None:
    """Not where there is none."""
    assert "chance may explain" in str(objection(ReleaseCriteria(goal), compared(new=0.8, live=0.7, low=-0.01)))


@pytest.mark.parametrize("goal", RELEASED)
@pytest.mark.parametrize(("flagged", "before"), [(300, 100), (100, 300), (0, 100), (60, 0)])
def test_another_alert_rate_stops_a_better_version(goal: ReleaseMode, flagged: int, before: int) -> None:
    """Who would have to look at three times as many alerts, or would see none, is asked first."""
    assert "flag" in str(objection(ReleaseCriteria(goal), compared(flagged=flagged, before=before)))


@pytest.mark.parametrize(("flagged", "before"), [(199, 100), (50, 100), (49, 0)])
def test_about_as_many_alerts_pass(flagged: int, before: int) -> None:
    """Up to twice as many, or half a percentage point more, are within the gate's bound."""
    assert objection(ReleaseCriteria(ReleaseMode.LIVE), compared(flagged=flagged, before=before)) is None


@pytest.mark.parametrize(("margin", "share"), [(0.0, "0%"), (0.0, "many"), (1.5, "5%"), (float("nan"), "5%")])
def test_terms_are_refused_before_a_training(margin: float, share: str) -> None:
    """A share or a margin that is none costs no training."""
    with pytest.raises(OperationsError):
        ReleaseCriteria(ReleaseMode.CANARY, margin, share)


@pytest.mark.parametrize(
    ("goal", "command"),
    [
        (ReleaseMode.LIVE, "fraud release 8"),
        (ReleaseMode.SHADOW, "fraud release 8 --shadow"),
        (ReleaseMode.CANARY, "fraud release 8 --canary 7%"),
    ],
)
def test_the_command_that_does_the_same_is_told(goal: ReleaseMode, command: str) -> None:
    """A person is told what to type to release the version all the same."""
    assert ReleaseCriteria(goal, share="7%").command(8) == command


def test_a_verdict_can_be_read_by_a_job() -> None:
    """Its JSON holds what was asked, what was found, and the figures behind it."""
    found = json.loads(
        json.dumps(Verdict(8, 7, ReleaseCriteria(ReleaseMode.LIVE, 0.01), "why", compared(flagged=120)).to_json())
    )
    assert (found["version"], found["live"], found["release"], found["margin"]) == (8, 7, "live", 0.01)
    assert (found["passed"], found["objection"]) == (False, "why")
    assert found["compared"]["average_precision"] == {"new": 0.8, "live": 0.7}
    assert found["compared"]["alert_rate"] == {"new": 0.012, "live": 0.01}
    assert (found["compared"]["rows"], found["compared"]["frauds"]) == (10_000, 80)


def test_a_verdict_is_told_in_a_few_lines() -> None:
    """A person reads the period, both figures, both alert rates and what comes of it."""
    lines = Verdict(8, 7, ReleaseCriteria(ReleaseMode.LIVE), None, compared()).lines()
    assert lines[0].startswith("Version 8 against version 7, which is live: 10,000 rows from 2026-04-01T")
    assert "0.800 against 0.700; the difference is from +0.050 to +0.200" in lines[1]
    assert "1.00% against 1.00%" in lines[2]
    assert lines[3:] == ["Version 8 is to be released as live."]


def test_rows_without_a_time_have_no_period() -> None:
    """Where the data has no time, none is told."""
    timeless = replace(compared(), first=None, last=None)
    assert "10,000 rows, 80 of them" in Verdict(8, 7, ReleaseCriteria(ReleaseMode.LIVE), None, timeless).lines()[0]


def test_a_version_that_is_not_released_says_why_and_how_yet() -> None:
    """The reason and the command stand in two lines, even where nothing was compared."""
    assert Verdict(8, 7, ReleaseCriteria(ReleaseMode.SHADOW), "reason").lines() == [
        "Version 8 is not released: reason.",
        "To do it all the same: fraud release 8 --shadow",
    ]

"""What `fraud release status` shows."""

from dataclasses import replace

import numpy as np
from rich.console import Console

from contract.decision import Decision, DecisionBands
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import abort_trial, release, start_trial, take_over
from operations.rollout.release_status import view
from releases.record import TrialKind
from releases.trial_counts import TrialArm, TrialCounts, trial_key
from tests.operations.fake_torchserve import FakeTorchServe
from tests.valkey import Valkey


def shown(target: DeploymentTarget) -> str:
    """The status as printed."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(view(target.store, target.redis_url))
    return captured.get()


def ignore(_: str) -> None:
    """Hears nothing."""


def test_before_the_first_release_there_is_nothing_to_show(target: DeploymentTarget) -> None:
    """It says what to do."""
    assert "nothing is released yet" in shown(target)


def test_the_live_version_and_the_last_events_are_shown(target: DeploymentTarget) -> None:
    """Without a trial it is one line, and what happened lately."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    text = shown(target)
    assert "Version 2 is live" in text
    assert "before it: version 1" in text
    assert text.count("released") == 2


def test_a_takeover_is_told(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Whoever looks sees that the live version is not the one that was released."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    torchserve.registered.pop(2)
    take_over(target, 1, ignore)
    assert "instead of version 2, which could not be loaded" in shown(target)


def test_both_sides_of_a_trial_stand_side_by_side(target: DeploymentTarget, valkey: Valkey) -> None:
    """Requests, failures, latency, alerts, scores and decisions that differ, for the live version and the other."""
    target = replace(target, redis_url=valkey.url)
    release(target, 1, ignore)
    trial = start_trial(target, 2, TrialKind.SHADOW, 1.0, ignore).trial
    assert trial
    counts, scores = TrialCounts(), np.array([0.05, 0.6])
    for side, bands in zip(TrialArm, (DecisionBands(0.1, 0.5), DecisionBands(0.7, 0.8)), strict=True):
        counts.scored(side, scores, bands.decide(scores), 0.004)
    counts.compared([Decision.APPROVE, Decision.DECLINE], [Decision.APPROVE, Decision.APPROVE])
    counts.unreadable(3)
    counts.dropped(4)
    client = valkey.client()
    client.sadd(trial_key(trial), "gateway")
    client.hset(f"{trial_key(trial)}:gateway", mapping=dict(counts.counts))
    client.close()
    text = shown(target)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["requests"] == ["1", "1"]
    assert rows["flagged"] == ["1", "(50.00%)", "0", "(0.00%)"]
    assert "Decisions that differ: 1 of 2" in text
    assert "3 transactions lack what version 2 reads" in text
    assert "4 transactions were left out" in text


def test_a_trial_without_redis_says_that_it_is_paused(target: DeploymentTarget, valkey: Valkey) -> None:
    """Nobody can judge it meanwhile."""
    target = replace(target, redis_url=valkey.url)
    release(target, 1, ignore)
    start_trial(target, 2, TrialKind.CANARY, 0.05, ignore)
    valkey.kill()
    assert "pauses" in shown(target)
    assert "paused" in shown(replace(target, redis_url=None))


def test_why_a_trial_ended_is_shown(target: DeploymentTarget) -> None:
    """The reason stands beside the event."""
    release(target, 1, ignore)
    start_trial(replace(target, redis_url="redis://nowhere"), 2, TrialKind.CANARY, 0.05, ignore)
    abort_trial(target, "too slow", ignore)
    assert "too slow" in shown(target)

"""Watching a trial: the bounds as a pure function, and the whole on a real Valkey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.files import durable
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release, start_trial
from operations.rollout.trial_monitor import SETTLE_SECONDS, WINDOW, TrialMonitor, violated_bound
from operations.store.release_record import read_record
from releases.record import Trial, TrialKind
from releases.trial_counts import TrialArm, TrialCounts, trial_key
from tests.operations.fake_torchserve import FakeTorchServe
from tests.valkey import Valkey


def counts(live: tuple[int, int, float], trial: tuple[int, int, float]) -> TrialCounts:
    """What two sides did: requests, errors among them, and seconds of each request."""
    it = TrialCounts()
    for side, (requests, errors, seconds) in zip(TrialArm, (live, trial), strict=True):
        for number in range(requests):
            if number < errors:
                it.failed(side, seconds)
            else:
                it.scored(side, EMPTY, [], seconds)
    return it


EMPTY = np.empty(0)
FINE = (200, 0, 0.004)


@pytest.mark.parametrize(
    ("live", "trial", "messages"),
    [
        (FINE, (200, 0, 0.004), None),
        (FINE, (200, 2, 0.004), None),
        (FINE, (200, 4, 0.004), None),
        (FINE, (200, 5, 0.004), "failed"),
        (FINE, (3, 3, 0.004), "failed"),
        ((200, 40, 0.004), (200, 50, 0.004), None),
        (FINE, (200, 0, 0.016), None),
        (FINE, (200, 0, 0.030), "95%"),
        (FINE, (99, 0, 9.0), None),
    ],
)
def test_bounds(live: tuple[int, int, float], trial: tuple[int, int, float], messages: str | None) -> None:
    """Few errors, errors that the live version has too, and little slowness pass; more is told in words."""
    why = violated_bound(TrialKind.CANARY, counts(live, trial))
    assert (why is None) if messages is None else (messages in str(why))


def test_a_shadow_may_be_slow() -> None:
    """Nobody waits for a shadow."""
    assert violated_bound(TrialKind.SHADOW, counts(FINE, (200, 0, 9.0))) is None


@given(st.integers(1, 300), st.integers(0, 300), st.floats(0.001, 5))
def test_a_trial_that_does_as_the_live_version_is_never_bad(requests: int, errors: int, seconds: float) -> None:
    """Whatever the live version does, the same of another version is no reason to abort it."""
    side = (requests, min(errors, requests), seconds)
    assert violated_bound(TrialKind.CANARY, counts(side, side)) is None


@pytest.fixture
def trial(target: DeploymentTarget, valkey: Valkey) -> tuple[DeploymentTarget, Trial]:
    """Version 1 is live, version 2 its canary."""
    target = replace(target, redis_url=valkey.url)
    release(target, 1, lambda _: None)
    started = start_trial(target, 2, TrialKind.CANARY, 0.05, lambda _: None).trial
    assert started
    return target, started


class MonitoredTrial:
    """A watch, what it said, and a clock in the test's hand."""

    def __init__(self, target: DeploymentTarget) -> None:
        self.messages: list[str] = []
        self.alerts: list[str] = []
        self.now = 0.0
        self.monitor = TrialMonitor(target, self.messages.append, self.alerts.append, lambda: self.now)

    def check(self, seconds: float = 1.0) -> None:
        """Looks after so many seconds."""
        self.now += seconds
        self.monitor.check()


def write(valkey: Valkey, trial: Trial, counted: TrialCounts) -> None:
    """Puts a gateway's totals where it puts them itself."""
    client = valkey.client()
    client.sadd(trial_key(trial), "gateway")
    client.hset(f"{trial_key(trial)}:gateway", mapping=dict(counted.counts))
    client.close()


def test_a_canary_that_fails_is_aborted(trial: tuple[DeploymentTarget, Trial], valkey: Valkey) -> None:
    """It is ended by itself, the live version stays, and people are told why."""
    target, started = trial
    monitored = MonitoredTrial(target)
    write(valkey, started, counts(FINE, (50, 0, 0.004)))
    monitored.check()
    assert monitored.alerts == []
    write(valkey, started, counts(FINE, (60, 10, 0.004)))
    monitored.check()
    record = read_record(target.store)
    assert record
    assert (record.version, record.trial) == (1, None)
    assert monitored.alerts == ["the canary of version 2 was aborted: 10 of 10 requests to it failed (bound 2%)"]


def test_a_good_past_hides_nothing(trial: tuple[DeploymentTarget, Trial], valkey: Valkey) -> None:
    """The last minute is judged by itself: a share that is small of all requests may be large of the last ones."""
    target, started = trial
    monitored = MonitoredTrial(target)
    write(valkey, started, counts((3000, 0, 0.004), (3000, 0, 0.004)))
    monitored.check()
    monitored.check(WINDOW)
    write(valkey, started, counts((3100, 0, 0.004), (3100, 0, 0.004)))
    monitored.check(WINDOW / 2)
    assert not monitored.alerts
    counted = counts((3100, 0, 0.004), (3100, 0, 0.004))
    for _ in range(10):
        counted.failed(TrialArm.TRIAL, 0.004)
    write(valkey, started, counted)
    monitored.check()
    assert len(monitored.alerts) == 1


@pytest.mark.parametrize("down", [True, False])
def test_what_fails_while_the_server_comes_back_is_not_the_versions_fault(
    trial: tuple[DeploymentTarget, Trial], torchserve: FakeTorchServe, valkey: Valkey, *, down: bool
) -> None:
    """TorchServe down, or up again without the version: what fails then ends no trial, what fails later does."""
    target, started = trial
    monitored = MonitoredTrial(target)
    monitored.check()
    there = torchserve.registered.pop(2)
    torchserve.down = down
    write(valkey, started, counts(FINE, (200, 100, 0.004)))
    monitored.check()
    torchserve.registered[2], torchserve.down = there, False
    write(valkey, started, counts(FINE, (220, 120, 0.004)))
    monitored.check()
    monitored.check(SETTLE_SECONDS)
    assert monitored.alerts == []
    write(valkey, started, counts(FINE, (240, 140, 0.004)))
    monitored.check()
    assert monitored.alerts == ["the canary of version 2 was aborted: 20 of 20 requests to it failed (bound 2%)"]


def test_a_server_that_ends_again_and_again_ends_the_trial(
    trial: tuple[DeploymentTarget, Trial], torchserve: FakeTorchServe
) -> None:
    """A version whose workers take the server down costs the live version too: the third time is enough."""
    target, _ = trial
    monitored = MonitoredTrial(target)
    monitored.check()
    for _ in range(3):
        assert monitored.alerts == []
        there = torchserve.registered.pop(2)
        monitored.check()
        monitored.check()
        torchserve.registered[2] = there
        monitored.check(SETTLE_SECONDS)
    assert monitored.alerts == [
        "the canary of version 2 was aborted: TorchServe ended 3 times in 10 minutes while it was on trial"
    ]


def test_redis_that_is_gone_is_told_once(trial: tuple[DeploymentTarget, Trial], valkey: Valkey) -> None:
    """Without counts nothing is judged; back again, the watch goes on."""
    target, started = trial
    monitored = MonitoredTrial(target)
    monitored.check()
    valkey.kill()
    monitored.check()
    monitored.check()
    assert len(monitored.messages) == 1
    assert "pauses" in monitored.messages[0]
    valkey.start()
    write(valkey, started, counts(FINE, (10, 10, 0.004)))
    monitored.check()
    assert len(monitored.alerts) == 1


def test_without_a_trial_nothing_is_asked(target: DeploymentTarget) -> None:
    """No release, or no trial: the watch has nothing to do and says nothing."""
    monitored = MonitoredTrial(replace(target, redis_url="redis://127.0.0.1:1"))
    monitored.check()
    release(target, 1, lambda _: None)
    monitored.check()
    assert (monitored.messages, monitored.alerts) == ([], [])


def test_a_full_disk_ends_nothing(
    trial: tuple[DeploymentTarget, Trial], valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that cannot be written is told, and the watch tries again."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target, started = trial
    monitored = MonitoredTrial(target)
    monitored.check()
    write(valkey, started, counts(FINE, (10, 10, 0.004)))
    monkeypatch.setattr(durable, "write", full)
    monitored.check()
    assert monitored.messages == ["the trial is not watched: No space left on device"]
    monkeypatch.undo()
    monitored.check()
    assert len(monitored.alerts) == 1


def test_a_damaged_record_ends_nothing(trial: tuple[DeploymentTarget, Trial]) -> None:
    """A record that cannot be read is told, and the watch goes on."""
    target, _ = trial
    target.record_path.write_text("{")
    monitored = MonitoredTrial(target)
    monitored.check()
    assert "damaged" in monitored.messages[0]

"""Releases to several TorchServes, and the reconciler of one of several."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from operations.errors import OperationsError
from operations.rollout import all_servers
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.registration import load
from operations.rollout.release import release, rollback, start_trial
from operations.rollout.shift_gate import ShiftTooLarge
from operations.rollout.trial_monitor import TrialMonitor
from operations.rollout.version_loader import ReconcileResult
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeClient
from releases.record import TrialKind
from tests.operations.fake_torchserve import FakeTorchServe, constant
from tests.operations.reconciler_scenario import ReconcilerScenario, canary

READY = ["READY", "READY"]
FIRST, SECOND = "http://10.0.0.1:8081", "http://10.0.0.2:8081"


def ignore(_: str) -> None:
    """Hears nothing."""


@pytest.fixture
def second(tmp_path: Path) -> FakeTorchServe:
    """Another TorchServe that has just started."""
    return FakeTorchServe(tmp_path / "verified")


@pytest.fixture
def both(
    registry: Registry, torchserve: FakeTorchServe, second: FakeTorchServe, tmp_path: Path
) -> Iterator[DeploymentTarget]:
    """Where releases go to both."""
    servers = [
        TorchServeClient(address, "http://inference", httpx.MockTransport(fake.answer))
        for address, fake in ((FIRST, torchserve), (SECOND, second))
    ]
    yield DeploymentTarget(registry, tmp_path / "verified", servers[0], 2, others=(servers[1],))
    for server in servers:
        server.close()


def test_a_release_goes_to_all(both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe) -> None:
    """Each server has the version, and what is done is said of each."""
    messages: list[str] = []
    release(both, 1, messages.append)
    assert torchserve.registered == second.registered == {1: READY}
    for address in (FIRST, SECOND):
        assert f"{address}: version 1: starting 2 workers" in messages
        assert f"{address}: version 1: scoring its golden rows" in messages
    assert messages[-1] == "writing the release record"


def test_where_one_refuses_all_is_as_before(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """The server that took the version forgets it again, the record stays, and the other one is named."""
    before = release(both, 1, ignore)
    second.broken.add(2)
    with pytest.raises(OperationsError, match=f"^{SECOND}: TorchServe refused to start the workers"):
        release(both, 2, ignore)
    assert torchserve.registered == second.registered == {1: READY}
    assert read_record(both.registry.root) == before


def left_out(address: str, version: int) -> str:
    """What is said of a server that does not answer."""
    return f"{address}: does not answer and is left out; the keeper loads version {version} there later"


def test_a_release_goes_past_a_server_that_does_not_answer(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not ready before the keeper has loaded the live version there; it is named, and versions are compared."""
    monkeypatch.setattr(all_servers, "RECONNECT_TIMEOUT", 0.1)
    release(both, 1, ignore)
    torchserve.down = True
    messages: list[str] = []
    assert release(both, 2, messages.append).version == 2
    assert second.registered == {1: READY, 2: READY}
    assert messages.count(left_out(FIRST, 2)) == 1
    assert any("comparing with version 1" in line for line in messages)


def test_a_release_waits_for_a_server_that_starts(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """One that is up in a moment gets the version like the others."""
    second.down = True
    starting = threading.Timer(0.3, lambda: setattr(second, "down", False))
    starting.start()
    release(both, 1, ignore)
    starting.join()
    assert torchserve.registered == second.registered == {1: READY}


def test_where_none_answers_nothing_changes(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that nobody has proven is never live: neither a release nor a rollback is done."""
    monkeypatch.setattr(all_servers, "RECONNECT_TIMEOUT", 0.1)
    release(both, 1, ignore)
    before = release(both, 2, ignore)
    torchserve.down = second.down = True
    nobody = f"no model server answers at {FIRST}, {SECOND}"
    with pytest.raises(OperationsError, match=nobody):
        release(both, 1, ignore)
    with pytest.raises(OperationsError, match=nobody):
        rollback(both, ignore)
    assert read_record(both.registry.root) == before


def test_a_server_that_ends_while_it_loads_stops_a_release(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """It may be the version that ends it, and would end it again."""
    before = release(both, 1, ignore)
    second.deadly.add(2)
    with pytest.raises(OperationsError, match=f"TorchServe does not answer at {SECOND}"):
        release(both, 2, ignore)
    assert torchserve.registered == {1: READY}
    assert read_record(both.registry.root) == before


@pytest.mark.parametrize("bad", [0, 1])
def test_a_rollback_goes_past_a_server_that_does_not_answer(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe, bad: int
) -> None:
    """At once: it is the way out of an emergency."""
    release(both, 1, ignore)
    release(both, 2, ignore)
    (torchserve, second)[bad].down = True
    messages: list[str] = []
    began = time.monotonic()
    assert rollback(both, messages.append).version == 1
    assert time.monotonic() - began < all_servers.RECONNECT_TIMEOUT / 2
    assert left_out((FIRST, SECOND)[bad], 1) in messages


@pytest.mark.parametrize("bad", [0, 1])
def test_a_rollback_goes_past_a_server_that_ends_while_it_loads(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe, bad: int
) -> None:
    """One that ends again and again answers for a moment; those that have the version are asked first."""
    release(both, 1, ignore)
    release(both, 2, ignore)
    ending = (torchserve, second)[bad]
    ending.registered.clear()
    ending.deadly.add(1)
    messages: list[str] = []
    assert rollback(both, messages.append).version == 1
    assert left_out((FIRST, SECOND)[bad], 1) in messages


def test_a_rollback_to_a_version_that_ends_every_server_reaches_one(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """Before one server has proven it, none is gone past that ends over it."""
    release(both, 1, ignore)
    before = release(both, 2, ignore)
    for fake in (torchserve, second):
        fake.registered.pop(1)
        fake.deadly.add(1)
    with pytest.raises(OperationsError, match=FIRST):
        rollback(both, ignore)
    assert second.registered == {2: READY}
    assert read_record(both.registry.root) == before


def test_servers_are_asked_at_once(both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe) -> None:
    """Behind a closed way each takes as long as a connection may: a rollback waits for the slowest, not for the sum."""
    release(both, 1, ignore)
    release(both, 2, ignore)
    meeting = threading.Barrier(2)
    for fake in (torchserve, second):
        fake.meeting = meeting
    assert rollback(both, ignore).version == 1


def test_a_version_that_ends_the_first_never_reaches_the_second(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """One after the other: while the first is down, the others score as before."""
    before = release(both, 1, ignore)
    torchserve.deadly.add(2)
    with pytest.raises(OperationsError, match=FIRST):
        release(both, 2, ignore)
    assert second.registered == {1: READY}
    assert second.files == ["fraud-1.verified.mar"]
    assert read_record(both.registry.root) == before


def test_one_that_has_the_version_already_keeps_it(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """It is loaded where it is missing, and neither loaded again nor deleted where it scores."""
    release(both, 1, ignore)
    release(both.single_servers[1], 2, ignore)
    second.files.clear()
    release(both, 2, ignore)
    assert torchserve.registered == second.registered == {1: READY, 2: READY}
    assert (second.files, second.deleted) == ([], [])


def test_a_failure_deletes_it_only_where_it_was_not(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """A server that scored the version before a release that failed scores it afterwards."""
    release(both, 1, ignore)
    second.broken.add(2)
    load(replace(both, others=()), 2, ignore)
    with pytest.raises(OperationsError, match=SECOND):
        release(both, 2, ignore)
    assert (torchserve.registered, second.registered) == ({1: READY, 2: READY}, {1: READY})


def test_each_must_prove_the_version(
    both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe
) -> None:
    """A server on which the golden rows score otherwise is named, and no server keeps the version."""
    second.models[1] = constant(0.9, 0.9)
    with pytest.raises(OperationsError, match=f"^{SECOND}: version 1 scores its golden rows otherwise"):
        release(both, 1, ignore)
    assert torchserve.registered == second.registered == {}


def test_the_gate_asks_one_where_the_live_version_scores(both: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A server that has just started, and lacks the live version still, does not open the gate."""
    release(both, 1, ignore)
    torchserve.registered.clear()
    torchserve.default = None
    messages: list[str] = []
    release(both, 2, messages.append)
    assert any("comparing with version 1" in line for line in messages)
    assert not any("nothing to compare" in line for line in messages)


def test_the_gate_holds_for_all(both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe) -> None:
    """What the gate stops is on no server afterwards."""
    release(both, 1, ignore)
    with pytest.raises(ShiftTooLarge):
        release(both, 2, ignore, on=b"other,columns\n1,2\n")
    assert torchserve.registered == second.registered == {1: READY}


def test_a_rollback_goes_to_all(both: DeploymentTarget, torchserve: FakeTorchServe, second: FakeTorchServe) -> None:
    """The version before is loaded where it is missing, before it is live again."""
    release(both, 1, ignore)
    release(both, 2, ignore)
    second.registered.clear()
    second.default = None
    assert rollback(both, ignore).version == 1
    assert torchserve.registered.keys() == {1, 2}
    assert second.registered.keys() == {1}


def test_a_trial_is_lost_where_one_server_lacks_it(both: DeploymentTarget, second: FakeTorchServe) -> None:
    """What fails on a server that has just come is not the version's fault."""
    release(both, 1, ignore)
    tried = replace(both, redis_url="redis://nowhere")
    start_trial(tried, 2, TrialKind.CANARY, 0.5, ignore)
    watch = TrialMonitor(tried, ignore, ignore)
    assert watch._is_loaded(2)
    second.registered.clear()
    assert not watch._is_loaded(2)


def test_one_of_several_does_not_change_what_is_live(both: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Where the live version cannot be loaded on a bad server, that is told once with its address, and stays so."""
    scenario = ReconcilerScenario(both.single_servers[0], torchserve)
    scenario.reconciler.is_only_server = False
    scenario.write(2, previous=1)
    scenario.damage(2)
    assert ReconcileResult.TOOK_OVER not in scenario.reconcile_until_idle()
    assert scenario.record.version == 2
    (alert,) = scenario.alerts
    assert alert.startswith(f"{FIRST}: version 2, which is live, cannot be loaded (")


def test_the_last_server_may_let_another_version_take_over(both: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Once the others have gone, their number protects nobody."""
    scenario = ReconcilerScenario(both.single_servers[0], torchserve)
    scenario.reconciler.is_only_server = False
    scenario.write(2, previous=1)
    scenario.damage(2)
    scenario.reconcile_until_idle()
    scenario.reconciler.is_only_server = True
    assert ReconcileResult.TOOK_OVER in scenario.reconcile_until_idle()
    assert scenario.record.version == 1


def test_one_of_several_does_not_end_a_trial(both: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """On the others it may do well; the watch counts what fails."""
    scenario = ReconcilerScenario(both.single_servers[0], torchserve)
    scenario.reconciler.is_only_server = False
    scenario.write(1, trial=canary(2))
    scenario.damage(2)
    scenario.reconcile_until_idle()
    assert scenario.record.trial == canary(2)

"""What a keeper's pages know of its rounds."""

import time

import pytest

from operations.keeper import status as module
from operations.keeper.status import KeeperStatus
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.version_loader import ReconcileResult
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.stage import Stage

A, B = "http://10.0.0.1:8081", "http://10.0.0.2:8081"


@pytest.fixture
def observed(target: DeploymentTarget, torchserve: FakeTorchServe) -> KeeperStatus:
    """Version 1 is live, and two servers are there."""
    Stage(target, torchserve).write(1)
    found = KeeperStatus(target.store)
    for address in (A, B):
        found.begin(address)
    return found


def test_ready_is_whole_everywhere(observed: KeeperStatus) -> None:
    """Until each server has the live version, one that lacks it is named."""
    assert observed.lack() == f"version 1 at {A}: not looked at yet"
    observed.see(A, ReconcileResult.HEALTHY)
    observed.see(B, ReconcileResult.MISSING)
    assert (observed.lack(), observed.whole, observed.servers) == (f"version 1 at {B}: not loaded", 1, 2)
    observed.see(B, ReconcileResult.LOADED)
    assert (observed.lack(), observed.whole) == (None, 2)


def test_a_server_that_has_gone_counts_no_more(observed: KeeperStatus) -> None:
    """Not even by a look that ends after it has gone."""
    observed.see(A, ReconcileResult.HEALTHY)
    observed.forget(B)
    observed.see(B, ReconcileResult.SERVER_DOWN)
    assert (observed.lack(), observed.servers) == (None, 1)


def test_without_a_server_nothing_is_ready(observed: KeeperStatus) -> None:
    """The reason is why none is known."""
    observed.forget(A)
    observed.forget(B)
    observed.unresolved = "torchserve is no name"
    assert (observed.lack(), observed.last_look) == ("torchserve is no name", 0.0)


def test_without_a_record_nothing_is_ready(observed: KeeperStatus, target: DeploymentTarget) -> None:
    """Nothing released, a record that cannot be read, and another keeper at work are each told."""
    target.record_path.write_text("{")
    assert "is damaged" in str(observed.lack())
    assert observed.record is None
    target.record_path.unlink()
    assert observed.lack() == "nothing is released yet"
    observed.waiting = "another keeper works"
    assert observed.lack() == "another keeper works"


def test_the_last_look_is_that_of_the_most_neglected_server(observed: KeeperStatus) -> None:
    """An alert on its age finds one server that is not looked at among many that are."""
    observed.see(A, ReconcileResult.HEALTHY)
    assert observed.last_look == 0.0
    observed.see(B, ReconcileResult.HEALTHY)
    assert time.time() - 60 < observed.last_look <= time.time()


def test_a_loop_that_stands_still_is_stuck(observed: KeeperStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it beats, it is not."""
    observed.beat()
    assert observed.stuck() is None
    monkeypatch.setattr(module, "LONGEST_STANDSTILL", -1.0)
    assert "stood still" in str(observed.stuck())


def test_a_look_without_end_is_stuck(observed: KeeperStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is named."""
    monkeypatch.setattr(module, "LONGEST_LOOK", -1.0)
    assert f"one look at {A}" in str(observed.stuck())

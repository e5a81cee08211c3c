"""What a keeper's pages know of its rounds."""

import time

import pytest

from operations.keeper import status as module
from operations.keeper.status import KeeperStatus
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.version_loader import ReconcileResult
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.reconciler_scenario import ReconcilerScenario

A, B = "http://10.0.0.1:8081", "http://10.0.0.2:8081"


@pytest.fixture
def status(target: DeploymentTarget, torchserve: FakeTorchServe) -> KeeperStatus:
    """Version 1 is live, and two servers are there."""
    ReconcilerScenario(target, torchserve).write(1)
    found = KeeperStatus(target.store)
    for address in (A, B):
        found.add_server(address)
    return found


def test_ready_is_whole_everywhere(status: KeeperStatus) -> None:
    """Until each server has the live version, one that lacks it is named."""
    assert status.unready_reason() == f"version 1 at {A}: not looked at yet"
    status.update_server(A, ReconcileResult.HEALTHY)
    status.update_server(B, ReconcileResult.MISSING)
    assert (status.unready_reason(), status.ready_servers, status.servers) == (f"version 1 at {B}: not loaded", 1, 2)
    status.update_server(B, ReconcileResult.LOADED)
    assert (status.unready_reason(), status.ready_servers) == (None, 2)


def test_a_server_that_has_gone_counts_no_more(status: KeeperStatus) -> None:
    """Not even by a look that ends after it has gone."""
    status.update_server(A, ReconcileResult.HEALTHY)
    status.remove_server(B)
    status.update_server(B, ReconcileResult.SERVER_DOWN)
    assert (status.unready_reason(), status.servers) == (None, 1)


def test_without_a_server_nothing_is_ready(status: KeeperStatus) -> None:
    """The reason is why none is known."""
    status.remove_server(A)
    status.remove_server(B)
    status.resolve_error = "torchserve is no name"
    assert (status.unready_reason(), status.oldest_poll) == ("torchserve is no name", 0.0)


def test_without_a_record_nothing_is_ready(status: KeeperStatus, target: DeploymentTarget) -> None:
    """Nothing released, a record that cannot be read, and another keeper at work are each told."""
    target.record_path.write_text("{")
    assert "is damaged" in str(status.unready_reason())
    assert status.record is None
    target.record_path.unlink()
    assert status.unready_reason() == "nothing is released yet"
    status.blocked_reason = "another keeper works"
    assert status.unready_reason() == "another keeper works"


def test_the_last_look_is_that_of_the_most_neglected_server(status: KeeperStatus) -> None:
    """An alert on its age finds one server that is not looked at among many that are."""
    status.update_server(A, ReconcileResult.HEALTHY)
    assert status.oldest_poll == 0.0
    status.update_server(B, ReconcileResult.HEALTHY)
    assert time.time() - 60 < status.oldest_poll <= time.time()


def test_a_loop_that_stands_still_is_stuck(status: KeeperStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it beats, it is not."""
    status.record_heartbeat()
    assert status.stall_reason() is None
    monkeypatch.setattr(module, "MAX_LOOP_STALL", -1.0)
    assert "stood still" in str(status.stall_reason())


def test_a_look_without_end_is_stuck(status: KeeperStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is named."""
    monkeypatch.setattr(module, "MAX_POLL_SECONDS", -1.0)
    assert f"one look at {A}" in str(status.stall_reason())

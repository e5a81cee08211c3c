"""What nobody wants any more is deleted, but only when no request can be on it."""

import pytest

from operations.files import durable
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.rollout.version_loader import ReconcileResult
from operations.settings import MIN_DRAIN_SECONDS as DRAIN
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.stage import Stage


@pytest.fixture
def stage(target: DeploymentTarget, torchserve: FakeTorchServe) -> Stage:
    """A reconciler where version 1 is live and version 2 is registered, wanted by nobody."""
    release(target, 1, lambda _: None)
    torchserve.registered[2] = ["READY"]
    stage = Stage(target, torchserve)
    assert stage.reconcile() is ReconcileResult.HEALTHY
    return stage


def test_a_version_drains_before_it_is_deleted(stage: Stage, torchserve: FakeTorchServe) -> None:
    """Deleting kills with -9: a version is deleted only after it was unwanted for the whole drain."""
    stage.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    assert stage.reconcile(after=0.1) is ReconcileResult.HEALTHY
    assert torchserve.deleted == [2]
    assert torchserve.registered.keys() == {1}


def test_a_version_that_is_wanted_again_drains_anew(stage: Stage, torchserve: FakeTorchServe) -> None:
    """The time restarts when the record wants the version in between."""
    stage.write(1, previous=2)
    stage.reconcile(after=DRAIN - 1)
    stage.write(1)
    stage.reconcile(after=1)
    stage.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    stage.reconcile(after=0.1)
    assert torchserve.deleted == [2]


def test_nothing_is_deleted_while_a_release_runs(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A release registers before it records: a look that meets it begins to count anew."""
    with durable.locked(stage.target.store / ".release.lock", ""):
        assert stage.reconcile(after=DRAIN) is ReconcileResult.HEALTHY
    stage.reconcile()
    stage.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    stage.reconcile(after=0.1)
    assert torchserve.deleted == [2]


def test_a_look_that_saw_nothing_interrupts(stage: Stage, torchserve: FakeTorchServe) -> None:
    """While the server is down or the record unreadable nobody knows what is wanted."""
    torchserve.down = True
    stage.reconcile(after=DRAIN)
    torchserve.down = False
    stage.reconcile()
    assert torchserve.deleted == []


def test_nothing_is_deleted_while_the_live_version_does_not_score(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A version that nobody wants may be the one that must take over."""
    torchserve.registered[1] = ["UNLOADED"]
    stage.reconcile(after=DRAIN)
    assert torchserve.deleted == []


def test_the_remains_of_a_failed_registration_are_deleted_too(stage: Stage, torchserve: FakeTorchServe) -> None:
    """What TorchServe keeps of a version that could not be loaded goes, though it has no worker."""
    torchserve.registered[2] = []
    stage.reconcile(after=DRAIN)
    assert torchserve.registered.keys() == {1}

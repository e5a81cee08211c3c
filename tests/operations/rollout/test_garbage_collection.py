"""What nobody wants any more is deleted, but only when no request can be on it."""

import pytest

from operations.files import durable
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.rollout.version_loader import ReconcileResult
from operations.settings import MIN_DRAIN_SECONDS as DRAIN
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.reconciler_scenario import ReconcilerScenario


@pytest.fixture
def scenario(target: DeploymentTarget, torchserve: FakeTorchServe) -> ReconcilerScenario:
    """A reconciler where version 1 is live and version 2 is registered, wanted by nobody."""
    release(target, 1, lambda _: None)
    torchserve.registered[2] = ["READY"]
    scenario = ReconcilerScenario(target, torchserve)
    assert scenario.reconcile() is ReconcileResult.HEALTHY
    return scenario


def test_a_version_drains_before_it_is_deleted(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """Deleting kills with -9: a version is deleted only after it was unwanted for the whole drain."""
    scenario.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    assert scenario.reconcile(after=0.1) is ReconcileResult.HEALTHY
    assert torchserve.deleted == [2]
    assert torchserve.registered.keys() == {1}


def test_a_version_that_is_wanted_again_drains_anew(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """The time restarts when the record wants the version in between."""
    scenario.write(1, previous=2)
    scenario.reconcile(after=DRAIN - 1)
    scenario.write(1)
    scenario.reconcile(after=1)
    scenario.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    scenario.reconcile(after=0.1)
    assert torchserve.deleted == [2]


def test_nothing_is_deleted_while_a_release_runs(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """A release registers before it records: a look that meets it begins to count anew."""
    with durable.locked(scenario.target.store / ".release.lock", ""):
        assert scenario.reconcile(after=DRAIN) is ReconcileResult.HEALTHY
    scenario.reconcile()
    scenario.reconcile(after=DRAIN - 0.1)
    assert torchserve.deleted == []
    scenario.reconcile(after=0.1)
    assert torchserve.deleted == [2]


def test_a_look_that_saw_nothing_interrupts(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """While the server is down or the record unreadable nobody knows what is wanted."""
    torchserve.down = True
    scenario.reconcile(after=DRAIN)
    torchserve.down = False
    scenario.reconcile()
    assert torchserve.deleted == []


def test_nothing_is_deleted_while_the_live_version_does_not_score(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """A version that nobody wants may be the one that must take over."""
    torchserve.registered[1] = ["UNLOADED"]
    scenario.reconcile(after=DRAIN)
    assert torchserve.deleted == []


def test_the_remains_of_a_failed_registration_are_deleted_too(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """What TorchServe keeps of a version that could not be loaded goes, though it has no worker."""
    torchserve.registered[2] = []
    scenario.reconcile(after=DRAIN)
    assert torchserve.registered.keys() == {1}

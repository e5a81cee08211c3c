"""The reconciler: whatever happened to TorchServe, what the record wants is brought back, the live version first."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.files import durable
from operations.rollout import release as release_module
from operations.rollout.deployment import DeploymentTarget, release_lock
from operations.rollout.reconciler import LONGEST_RELEASE
from operations.rollout.release import release
from operations.rollout.version_loader import UNREADY_TIMEOUT, ReconcileResult
from operations.store import journal
from tests.operations.conftest import add
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.reconciler_scenario import ReconcilerScenario, canary


def ignore(_: str) -> None:
    """Hears nothing."""


@pytest.fixture
def scenario(target: DeploymentTarget, torchserve: FakeTorchServe) -> ReconcilerScenario:
    """A reconciler where version 1 is live."""
    release(target, 1, ignore)
    return ReconcilerScenario(target, torchserve)


@pytest.fixture
def three_versions(scenario: ReconcilerScenario, tmp_path: Path) -> ReconcilerScenario:
    """One where version 2 is live, 3 is on trial and 1 served before; TorchServe has just started."""
    add(scenario.target.registry, tmp_path, 3)
    scenario.write(2, previous=1, trial=canary(3))
    scenario.restart_server()
    return scenario


def test_nothing_is_loaded_before_the_first_release(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Without a record nothing is registered."""
    assert ReconcilerScenario(target, torchserve).reconcile() is ReconcileResult.NOTHING_RELEASED
    assert torchserve.files == []


def test_a_whole_server_is_left_alone(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """A version with a ready worker is not touched."""
    torchserve.registered[1] = ["READY", "LOADING"]
    assert scenario.reconcile() is ReconcileResult.HEALTHY
    assert torchserve.files == ["fraud-1.verified.mar"]


def test_a_server_that_started_again_gets_the_recorded_version(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """After a restart, which forgets all versions, the recorded one is registered."""
    scenario.restart_server()
    assert scenario.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_a_version_gets_the_workers_that_its_loading_did_not_come_to(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """A release that was killed between two workers leaves one: the next look asks for all of them."""
    torchserve.registered[1] = ["READY"]
    assert scenario.reconcile() is ReconcileResult.HEALTHY
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_a_first_load_is_no_repair(scenario: ReconcilerScenario) -> None:
    """Loading the recorded version at a start is not spoken of; loading it again after it was whole is."""
    scenario.restart_server()
    assert (scenario.reconcile(), scenario.messages) == (ReconcileResult.LOADED, [])
    scenario.restart_server()
    assert scenario.reconcile() is ReconcileResult.LOADED
    assert [text.partition(" in ")[0] for text in scenario.messages] == ["version 1 was loaded again"]


def test_a_server_that_is_down_is_waited_for(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """A server that does not answer is no failure of the model: the first look after it loads at once."""
    torchserve.down = True
    assert scenario.reconcile() is ReconcileResult.SERVER_DOWN
    torchserve.down = False
    scenario.restart_server()
    assert scenario.reconcile() is ReconcileResult.LOADED


def test_a_version_without_workers_is_registered_afresh(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """A version that is registered with no worker is deleted and registered again, though it is the default."""
    torchserve.registered = {1: [], 2: ["READY"]}
    assert scenario.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered[1] == ["READY", "READY"]


def test_a_worker_gets_time_to_start_again(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """TorchServe restarts its workers itself; only after long without a ready one is the version registered afresh."""
    torchserve.registered[1] = ["UNLOADED", "UNLOADED"]
    assert scenario.reconcile() is ReconcileResult.STARTING
    assert scenario.reconcile(after=UNREADY_TIMEOUT) is ReconcileResult.LOADED


def test_a_mended_archive_is_loaded(scenario: ReconcilerScenario) -> None:
    """Once the archive is put back, the version is loaded at the next try."""
    (scenario.target.store / "fraud-2.json").unlink()
    whole = (scenario.target.store / "fraud-1.mar").read_bytes()
    scenario.damage(1)
    scenario.restart_server()
    assert scenario.reconcile() is ReconcileResult.FAILED
    (scenario.target.store / "fraud-1.mar").write_bytes(whole)
    assert scenario.reconcile() is ReconcileResult.FAILED  # It waits a second after the first failure.
    assert scenario.reconcile(after=1) is ReconcileResult.LOADED


def test_a_release_is_not_disturbed(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """While a release holds the lock nothing is mended; after it, all is."""
    scenario.restart_server()
    with durable.locked(scenario.target.store / ".release.lock", ""):
        assert scenario.reconcile() is ReconcileResult.RELEASING
        assert torchserve.registered == {}
    assert scenario.reconcile() is ReconcileResult.LOADED


@dataclass
class ActBeforeLock:
    """Something that another process does just before the reconciler gets the lock."""

    act: Callable[[], object]

    def __call__(self, target: DeploymentTarget, timeout: float = 0.0) -> object:
        self.act()
        return release_lock(target, timeout)


def test_what_a_release_changed_meanwhile_is_not_undone(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that saw the state before a release does not act on it."""
    scenario.restart_server()
    monkeypatch.setattr(
        "operations.rollout.version_loader.release_lock", ActBeforeLock(lambda: release(scenario.target, 2, ignore))
    )
    assert scenario.reconcile() is ReconcileResult.RELEASING
    assert torchserve.registered.keys() == {2}


def test_what_another_loaded_meanwhile_is_not_loaded_again(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that has become ready is left alone."""
    scenario.restart_server()
    act_before_lock = ActBeforeLock(lambda: torchserve.registered.update({1: ["READY"]}))
    monkeypatch.setattr("operations.rollout.version_loader.release_lock", act_before_lock)
    assert scenario.reconcile() is ReconcileResult.RELEASING
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])


def test_a_version_with_a_ready_worker_is_never_deleted(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody without the lock registers first: the refusal that this gives costs nobody the ready version."""
    scenario.restart_server()

    def refused(*_: object) -> None:
        torchserve.registered[1] = ["READY"]
        raise OperationsError("409")

    monkeypatch.setattr("operations.rollout.version_loader.load", refused)
    assert scenario.reconcile() is ReconcileResult.FAILED
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])
    assert scenario.reconcile() is ReconcileResult.HEALTHY


def test_an_odd_answer_ends_nothing(scenario: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """One answer that cannot be understood is told, nothing takes over, and the next look is as before."""
    torchserve.odd = b"<html>"
    assert [scenario.reconcile(), scenario.reconcile()] == [ReconcileResult.FAILED, ReconcileResult.FAILED]
    assert (len(scenario.messages), scenario.record.version) == (1, 1)
    torchserve.odd = None
    assert scenario.reconcile() is ReconcileResult.HEALTHY


def test_a_damaged_record_is_told_once_and_nothing_is_guessed(
    scenario: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """Where nobody knows what is wanted nothing is loaded or deleted: people are told, and the journal."""
    scenario.restart_server()
    torchserve.registered[2] = ["READY"]
    scenario.target.record_path.write_text("{")
    assert set(scenario.reconcile_until_idle()) == {ReconcileResult.FAILED}
    assert (torchserve.registered, len(scenario.alerts)) == ({2: ["READY"]}, 1)
    assert "damaged" in journal.events(scenario.target.store)[-1]["why"]


@pytest.mark.parametrize("name", ["release.json", ".release.lock"])
def test_files_that_cannot_be_read_end_nothing(scenario: ReconcilerScenario, name: str) -> None:
    """A record or a lock that the system does not open is told, nothing is raised, and no other version takes over."""
    scenario.restart_server()
    path, run_in_daemon_thread = scenario.target.store / name, scenario.target.store / "aside"
    path.rename(run_in_daemon_thread)
    path.mkdir()
    assert set(scenario.reconcile_until_idle()) == {ReconcileResult.FAILED}
    path.rmdir()
    run_in_daemon_thread.rename(path)
    assert scenario.reconcile(after=40) is ReconcileResult.LOADED
    assert scenario.record.version == 1


def test_every_wanted_version_is_loaded_the_live_one_first(
    three_versions: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """After a restart the live version is loaded, then the one on trial, then the one before, each with all workers."""
    assert [three_versions.reconcile() for _ in range(4)] == [
        ReconcileResult.LOADED,
        ReconcileResult.HEALTHY,
        ReconcileResult.HEALTHY,
        ReconcileResult.HEALTHY,
    ]
    assert torchserve.files[1:] == ["fraud-2.verified.mar", "fraud-3.verified.mar", "fraud-1.verified.mar"]
    assert torchserve.registered == {version: ["READY", "READY"] for version in (1, 2, 3)}
    assert three_versions.messages == []


def test_one_other_version_is_loaded_at_a_look(three_versions: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """Loading takes seconds: after each, the live version is looked at before another is loaded."""
    assert [three_versions.reconcile(), three_versions.reconcile()] == [ReconcileResult.LOADED, ReconcileResult.HEALTHY]
    three_versions.restart_server()
    assert three_versions.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered.keys() == {2}


def test_the_others_wait_while_the_live_version_starts(
    three_versions: ReconcilerScenario, torchserve: FakeTorchServe
) -> None:
    """No other version is loaded while the live one does not score: it might need loading the next moment."""
    torchserve.registered[2] = ["UNLOADED"]
    assert three_versions.reconcile() is ReconcileResult.STARTING
    assert torchserve.registered.keys() == {2}


def test_a_previous_version_that_cannot_be_loaded_changes_nothing(three_versions: ReconcilerScenario) -> None:
    """The live version is whole, whatever becomes of the one before: that is told once and tried on."""
    three_versions.write(2, previous=1)
    three_versions.damage(1)
    three_versions.reconcile()
    assert set(three_versions.reconcile_until_idle()) == {ReconcileResult.HEALTHY}
    assert [text.partition(":")[0] for text in three_versions.messages] == ["version 1 cannot be loaded"]
    assert (three_versions.record.previous, three_versions.alerts) == (1, [])


def test_each_version_has_its_own_pause(three_versions: ReconcilerScenario, torchserve: FakeTorchServe) -> None:
    """After the previous version has failed for long, the live one is still loaded at the first look."""
    three_versions.write(2, previous=1)
    three_versions.refuse(1)
    three_versions.reconcile()
    three_versions.reconcile_until_idle()
    three_versions.restart_server()
    assert three_versions.reconcile() is ReconcileResult.LOADED
    tries = torchserve.files.count("fraud-1.verified.mar")
    assert [three_versions.reconcile(after=1), torchserve.files.count("fraud-1.verified.mar")] == [
        ReconcileResult.HEALTHY,
        tries,
    ]


def test_a_trial_that_cannot_be_loaded_is_aborted(three_versions: ReconcilerScenario) -> None:
    """A version on trial whose archive does not verify ends its trial at once, with an alert; the live one goes on."""
    three_versions.damage(3)
    assert [three_versions.reconcile(), three_versions.reconcile()] == [ReconcileResult.LOADED, ReconcileResult.HEALTHY]
    assert (three_versions.record.version, three_versions.record.previous, three_versions.record.trial) == (2, 1, None)
    assert len(three_versions.alerts) == 1
    assert three_versions.alerts[0].startswith("the canary of version 3 was aborted: it cannot be loaded (")


def test_a_trial_that_is_refused_once_is_tried_again(three_versions: ReconcilerScenario) -> None:
    """TorchServe may refuse for the machine's sake: a trial is aborted after the second refusal in a row."""
    three_versions.refuse(3)
    three_versions.reconcile()
    three_versions.reconcile()
    assert three_versions.record.trial == canary(3)
    three_versions.reconcile()
    assert three_versions.reconcile(after=1) is ReconcileResult.HEALTHY
    assert three_versions.record.trial is None


def test_a_trial_is_aborted_when_the_lock_is_free(
    three_versions: ReconcilerScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that runs at that moment only delays it."""
    monkeypatch.setattr(release_module, "RELEASE_LOCK_TIMEOUT", 0.0)
    three_versions.damage(3)
    three_versions.reconcile()
    with durable.locked(three_versions.target.store / ".release.lock", ""):
        assert three_versions.reconcile() is ReconcileResult.HEALTHY
    assert three_versions.record.trial is not None
    three_versions.reconcile()
    assert three_versions.record.trial is None


def test_a_record_that_is_gone_is_told(scenario: ReconcilerScenario) -> None:
    """What was released is lost: nothing is guessed, what is loaded goes on, and people are told once."""
    scenario.reconcile()
    scenario.target.record_path.unlink()
    for _ in range(2):
        assert scenario.reconcile() is ReconcileResult.NOTHING_RELEASED
    assert [text for text in scenario.alerts if "the release record is gone" in text] == scenario.alerts
    assert len(scenario.alerts) == 1


def test_a_release_that_stands_still_is_told(scenario: ReconcilerScenario) -> None:
    """While it holds the lock a live version that is not loaded cannot be: after a while people are told by whom."""
    scenario.reconcile()
    scenario.restart_server()
    with durable.locked(scenario.target.store / ".release.lock", ""):
        scenario.reconcile()
        assert scenario.alerts == []
        scenario.reconcile(after=LONGEST_RELEASE + 1)
        scenario.reconcile()
        assert len(scenario.alerts) == 1
        assert f"(process {os.getpid()})" in scenario.alerts[0]
    assert scenario.reconcile() is ReconcileResult.LOADED

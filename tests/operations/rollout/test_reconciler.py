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
from tests.operations.stage import Stage, canary


def quiet(_: str) -> None:
    """Hears nothing."""


@pytest.fixture
def stage(target: DeploymentTarget, torchserve: FakeTorchServe) -> Stage:
    """A reconciler where version 1 is live."""
    release(target, 1, quiet)
    return Stage(target, torchserve)


@pytest.fixture
def trio(stage: Stage, tmp_path: Path) -> Stage:
    """One where version 2 is live, 3 is on trial and 1 served before; TorchServe has just started."""
    add(stage.target.registry, tmp_path, 3)
    stage.write(2, previous=1, trial=canary(3))
    stage.restart_server()
    return stage


def test_nothing_is_loaded_before_the_first_release(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Without a record nothing is registered."""
    assert Stage(target, torchserve).reconcile() is ReconcileResult.NOTHING_RELEASED
    assert torchserve.files == []


def test_a_whole_server_is_left_alone(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A version with a ready worker is not touched."""
    torchserve.registered[1] = ["READY", "LOADING"]
    assert stage.reconcile() is ReconcileResult.HEALTHY
    assert torchserve.files == ["fraud-1.verified.mar"]


def test_a_server_that_started_again_gets_the_recorded_version(stage: Stage, torchserve: FakeTorchServe) -> None:
    """After a restart, which forgets all versions, the recorded one is registered."""
    stage.restart_server()
    assert stage.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_a_version_gets_the_workers_that_its_loading_did_not_come_to(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A release that was killed between two workers leaves one: the next look asks for all of them."""
    torchserve.registered[1] = ["READY"]
    assert stage.reconcile() is ReconcileResult.HEALTHY
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_a_first_load_is_no_repair(stage: Stage) -> None:
    """Loading the recorded version at a start is not spoken of; loading it again after it was whole is."""
    stage.restart_server()
    assert (stage.reconcile(), stage.said) == (ReconcileResult.LOADED, [])
    stage.restart_server()
    assert stage.reconcile() is ReconcileResult.LOADED
    assert [text.partition(" in ")[0] for text in stage.said] == ["version 1 was loaded again"]


def test_a_server_that_is_down_is_waited_for(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A server that does not answer is no failure of the model: the first look after it loads at once."""
    torchserve.down = True
    assert stage.reconcile() is ReconcileResult.SERVER_DOWN
    torchserve.down = False
    stage.restart_server()
    assert stage.reconcile() is ReconcileResult.LOADED


def test_a_version_without_workers_is_registered_afresh(stage: Stage, torchserve: FakeTorchServe) -> None:
    """A version that is registered with no worker is deleted and registered again, though it is the default."""
    torchserve.registered = {1: [], 2: ["READY"]}
    assert stage.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered[1] == ["READY", "READY"]


def test_a_worker_gets_time_to_start_again(stage: Stage, torchserve: FakeTorchServe) -> None:
    """TorchServe restarts its workers itself; only after long without a ready one is the version registered afresh."""
    torchserve.registered[1] = ["UNLOADED", "UNLOADED"]
    assert stage.reconcile() is ReconcileResult.STARTING
    assert stage.reconcile(after=UNREADY_TIMEOUT) is ReconcileResult.LOADED


def test_a_mended_archive_is_loaded(stage: Stage) -> None:
    """Once the archive is put back, the version is loaded at the next try."""
    (stage.target.store / "fraud-2.json").unlink()
    whole = (stage.target.store / "fraud-1.mar").read_bytes()
    stage.damage(1)
    stage.restart_server()
    assert stage.reconcile() is ReconcileResult.FAILED
    (stage.target.store / "fraud-1.mar").write_bytes(whole)
    assert stage.reconcile() is ReconcileResult.FAILED  # It waits a second after the first failure.
    assert stage.reconcile(after=1) is ReconcileResult.LOADED


def test_a_release_is_not_disturbed(stage: Stage, torchserve: FakeTorchServe) -> None:
    """While a release holds the lock nothing is mended; after it, all is."""
    stage.restart_server()
    with durable.locked(stage.target.store / ".release.lock", ""):
        assert stage.reconcile() is ReconcileResult.RELEASING
        assert torchserve.registered == {}
    assert stage.reconcile() is ReconcileResult.LOADED


@dataclass
class Meanwhile:
    """Something that another process does just before the reconciler gets the lock."""

    act: Callable[[], object]

    def __call__(self, target: DeploymentTarget, patience: float = 0.0) -> object:
        self.act()
        return release_lock(target, patience)


def test_what_a_release_changed_meanwhile_is_not_undone(
    stage: Stage, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that saw the state before a release does not act on it."""
    stage.restart_server()
    monkeypatch.setattr(
        "operations.rollout.version_loader.release_lock", Meanwhile(lambda: release(stage.target, 2, quiet))
    )
    assert stage.reconcile() is ReconcileResult.RELEASING
    assert torchserve.registered.keys() == {2}


def test_what_another_loaded_meanwhile_is_not_loaded_again(
    stage: Stage, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that has become ready is left alone."""
    stage.restart_server()
    meanwhile = Meanwhile(lambda: torchserve.registered.update({1: ["READY"]}))
    monkeypatch.setattr("operations.rollout.version_loader.release_lock", meanwhile)
    assert stage.reconcile() is ReconcileResult.RELEASING
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])


def test_a_version_with_a_ready_worker_is_never_deleted(
    stage: Stage, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody without the lock registers first: the refusal that this gives costs nobody the ready version."""
    stage.restart_server()

    def refused(*_: object) -> None:
        torchserve.registered[1] = ["READY"]
        raise OperationsError("409")

    monkeypatch.setattr("operations.rollout.version_loader.load", refused)
    assert stage.reconcile() is ReconcileResult.FAILED
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])
    assert stage.reconcile() is ReconcileResult.HEALTHY


def test_an_odd_answer_ends_nothing(stage: Stage, torchserve: FakeTorchServe) -> None:
    """One answer that cannot be understood is told, nothing takes over, and the next look is as before."""
    torchserve.odd = b"<html>"
    assert [stage.reconcile(), stage.reconcile()] == [ReconcileResult.FAILED, ReconcileResult.FAILED]
    assert (len(stage.said), stage.record.version) == (1, 1)
    torchserve.odd = None
    assert stage.reconcile() is ReconcileResult.HEALTHY


def test_a_damaged_record_is_told_once_and_nothing_is_guessed(stage: Stage, torchserve: FakeTorchServe) -> None:
    """Where nobody knows what is wanted nothing is loaded or deleted: people are told, and the journal."""
    stage.restart_server()
    torchserve.registered[2] = ["READY"]
    stage.target.record_path.write_text("{")
    assert set(stage.until_quiet()) == {ReconcileResult.FAILED}
    assert (torchserve.registered, len(stage.alerts)) == ({2: ["READY"]}, 1)
    assert "damaged" in journal.events(stage.target.store)[-1]["why"]


@pytest.mark.parametrize("name", ["release.json", ".release.lock"])
def test_files_that_cannot_be_read_end_nothing(stage: Stage, name: str) -> None:
    """A record or a lock that the system does not open is told, nothing is raised, and no other version takes over."""
    stage.restart_server()
    path, run_in_daemon_thread = stage.target.store / name, stage.target.store / "aside"
    path.rename(run_in_daemon_thread)
    path.mkdir()
    assert set(stage.until_quiet()) == {ReconcileResult.FAILED}
    path.rmdir()
    run_in_daemon_thread.rename(path)
    assert stage.reconcile(after=40) is ReconcileResult.LOADED
    assert stage.record.version == 1


def test_every_wanted_version_is_loaded_the_live_one_first(trio: Stage, torchserve: FakeTorchServe) -> None:
    """After a restart the live version is loaded, then the one on trial, then the one before, each with all workers."""
    assert [trio.reconcile() for _ in range(4)] == [
        ReconcileResult.LOADED,
        ReconcileResult.HEALTHY,
        ReconcileResult.HEALTHY,
        ReconcileResult.HEALTHY,
    ]
    assert torchserve.files[1:] == ["fraud-2.verified.mar", "fraud-3.verified.mar", "fraud-1.verified.mar"]
    assert torchserve.registered == {version: ["READY", "READY"] for version in (1, 2, 3)}
    assert trio.said == []


def test_one_other_version_is_loaded_at_a_look(trio: Stage, torchserve: FakeTorchServe) -> None:
    """Loading takes seconds: after each, the live version is looked at before another is loaded."""
    assert [trio.reconcile(), trio.reconcile()] == [ReconcileResult.LOADED, ReconcileResult.HEALTHY]
    trio.restart_server()
    assert trio.reconcile() is ReconcileResult.LOADED
    assert torchserve.registered.keys() == {2}


def test_the_others_wait_while_the_live_version_starts(trio: Stage, torchserve: FakeTorchServe) -> None:
    """No other version is loaded while the live one does not score: it might need loading the next moment."""
    torchserve.registered[2] = ["UNLOADED"]
    assert trio.reconcile() is ReconcileResult.STARTING
    assert torchserve.registered.keys() == {2}


def test_a_previous_version_that_cannot_be_loaded_changes_nothing(trio: Stage) -> None:
    """The live version is whole, whatever becomes of the one before: that is told once and tried on."""
    trio.write(2, previous=1)
    trio.damage(1)
    trio.reconcile()
    assert set(trio.until_quiet()) == {ReconcileResult.HEALTHY}
    assert [text.partition(":")[0] for text in trio.said] == ["version 1 cannot be loaded"]
    assert (trio.record.previous, trio.alerts) == (1, [])


def test_each_version_has_its_own_pause(trio: Stage, torchserve: FakeTorchServe) -> None:
    """After the previous version has failed for long, the live one is still loaded at the first look."""
    trio.write(2, previous=1)
    trio.refuse(1)
    trio.reconcile()
    trio.until_quiet()
    trio.restart_server()
    assert trio.reconcile() is ReconcileResult.LOADED
    tries = torchserve.files.count("fraud-1.verified.mar")
    assert [trio.reconcile(after=1), torchserve.files.count("fraud-1.verified.mar")] == [ReconcileResult.HEALTHY, tries]


def test_a_trial_that_cannot_be_loaded_is_aborted(trio: Stage) -> None:
    """A version on trial whose archive does not verify ends its trial at once, with an alert; the live one goes on."""
    trio.damage(3)
    assert [trio.reconcile(), trio.reconcile()] == [ReconcileResult.LOADED, ReconcileResult.HEALTHY]
    assert (trio.record.version, trio.record.previous, trio.record.trial) == (2, 1, None)
    assert len(trio.alerts) == 1
    assert trio.alerts[0].startswith("the canary of version 3 was aborted: it cannot be loaded (")


def test_a_trial_that_is_refused_once_is_tried_again(trio: Stage) -> None:
    """TorchServe may refuse for the machine's sake: a trial is aborted after the second refusal in a row."""
    trio.refuse(3)
    trio.reconcile()
    trio.reconcile()
    assert trio.record.trial == canary(3)
    trio.reconcile()
    assert trio.reconcile(after=1) is ReconcileResult.HEALTHY
    assert trio.record.trial is None


def test_a_trial_is_aborted_when_the_lock_is_free(trio: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that runs at that moment only delays it."""
    monkeypatch.setattr(release_module, "RELEASE_LOCK_TIMEOUT", 0.0)
    trio.damage(3)
    trio.reconcile()
    with durable.locked(trio.target.store / ".release.lock", ""):
        assert trio.reconcile() is ReconcileResult.HEALTHY
    assert trio.record.trial is not None
    trio.reconcile()
    assert trio.record.trial is None


def test_a_record_that_is_gone_is_told(stage: Stage) -> None:
    """What was released is lost: nothing is guessed, what is loaded goes on, and people are told once."""
    stage.reconcile()
    stage.target.record_path.unlink()
    for _ in range(2):
        assert stage.reconcile() is ReconcileResult.NOTHING_RELEASED
    assert [text for text in stage.alerts if "the release record is gone" in text] == stage.alerts
    assert len(stage.alerts) == 1


def test_a_release_that_stands_still_is_told(stage: Stage) -> None:
    """While it holds the lock a live version that is not loaded cannot be: after a while people are told by whom."""
    stage.reconcile()
    stage.restart_server()
    with durable.locked(stage.target.store / ".release.lock", ""):
        stage.reconcile()
        assert stage.alerts == []
        stage.reconcile(after=LONGEST_RELEASE + 1)
        stage.reconcile()
        assert len(stage.alerts) == 1
        assert f"(process {os.getpid()})" in stage.alerts[0]
    assert stage.reconcile() is ReconcileResult.LOADED

"""Releases: all or nothing."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from contract.decision import DecisionBands, ThresholdOverrides
from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from operations.errors import OperationsError
from operations.files import durable
from operations.rollout import registration
from operations.rollout import release as module
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.registration import NotProven
from operations.rollout.release import RecordChanged, abort_trial, promote, release, rollback, start_trial, take_over
from operations.rollout.shift_gate import ShiftTooLarge
from operations.store.registry import DamagedArchive, UnknownVersion
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeInvalidAnswer, TorchServeRefused
from releases.record import Release, TrialKind
from tests.operations.conftest import add
from tests.operations.damages import cuts, flips
from tests.operations.fake_torchserve import CONTRACT, GOLDEN, FakeTorchServe, constant
from tests.tiny import card


def ignore(_: str) -> None:
    """Hears nothing."""


def test_a_release_registers_and_records(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A released version has its workers, is in the record, and had none before it."""
    record = release(target, 1, ignore)
    assert (record.version, record.previous) == (1, None)
    assert read_record(target.store) == record
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_the_version_before_stays_warm(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """The version that served before is in the record and stays registered."""
    release(target, 1, ignore)
    assert release(target, 2, ignore).previous == 1
    assert torchserve.registered.keys() == {1, 2}


def test_of_two_rollbacks_at_once_one_is_told(target: DeploymentTarget) -> None:
    """The second waits for the first, finds another record than it was asked about, and changes nothing."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    refusals: list[str] = []

    def second() -> None:
        with pytest.raises(RecordChanged) as refused:
            rollback(target, ignore)
        refusals.append(str(refused.value))

    waiting = threading.Thread(target=second)
    with durable.locked(target.store / ".release.lock", ""):
        waiting.start()
        waiting.join(0.2)
        target.record_path.write_bytes(Release(1, 2, "2026-01-01T00:00:00+00:00").to_bytes())
    waiting.join(60)
    assert refusals == ["the release record was changed meanwhile, version 1 is live: look, and run it again"]
    record = read_record(target.store)
    assert record
    assert record.version == 1


@pytest.mark.parametrize("act", ["release", "promote", "try"])
def test_what_is_loaded_must_be_good_on_disk_too(target: DeploymentTarget, act: str) -> None:
    """A version that scores already is not made live, nor tried, while its archive is damaged."""
    release(target, 1, ignore)
    on_trial(target)
    archive = target.store / "fraud-2.mar"
    archive.write_bytes(archive.read_bytes()[:-1])
    acts = {
        "release": lambda: release(target, 2, ignore),
        "promote": lambda: promote(target, ignore),
        "try": lambda: on_trial(target, share=0.5),
    }
    before = read_record(target.store)
    with pytest.raises(DamagedArchive):
        acts[act]()
    assert read_record(target.store) == before


@pytest.mark.parametrize("name", ["fraud-7.verified.mar", ".fraud-scratch-0a1b2c3d", "fraud-verified-0a1b2c3d"])
def test_what_a_killed_load_left_goes_at_the_next_one(target: DeploymentTarget, name: str) -> None:
    """Whichever release it was of: a copy may be as large as a model, and nobody else deletes it."""
    target.verified.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target.verified / name).write_bytes(b"a copy")
    release(target, 1, ignore)
    assert list(target.verified.iterdir()) == []


def test_a_version_that_runs_is_released_without_loading_it(
    target: DeploymentTarget, torchserve: FakeTorchServe
) -> None:
    """Going back to the version before registers nothing."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    assert release(target, 1, ignore).previous == 2
    assert torchserve.files == ["fraud-1.verified.mar", "fraud-2.verified.mar"]


def test_releasing_the_live_version_keeps_the_one_before(target: DeploymentTarget) -> None:
    """Releasing what is live already changes nothing in the record."""
    release(target, 1, ignore)
    before = release(target, 2, ignore)
    assert release(target, 2, ignore) == before


def test_a_failed_registration_is_deleted(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """TorchServe keeps a version that failed to load; the release deletes it and changes no record."""
    release(target, 1, ignore)
    torchserve.broken = {2}
    with pytest.raises(TorchServeRefused, match="start the workers"):
        release(target, 2, ignore)
    assert torchserve.registered.keys() == {1}
    assert read_record(target.store) == release(target, 1, ignore)


def test_a_version_with_other_scores_is_not_released(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A version whose golden rows score otherwise than in training is deleted again."""
    torchserve.models[1] = constant(0.25, 0.51)
    with pytest.raises(NotProven, match="golden rows"):
        release(target, 1, ignore)
    assert torchserve.registered == {}
    assert read_record(target.store) is None


def test_a_damaged_archive_never_reaches_the_model_server(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """An archive that does not verify is not registered."""
    (target.store / "fraud-1.mar").write_bytes(b"archive X")
    with pytest.raises(DamagedArchive):
        release(target, 1, ignore)
    assert torchserve.files == []


def test_one_release_at_a_time(target: DeploymentTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release while another runs, and does not end soon, is refused."""
    monkeypatch.setattr(module, "RELEASE_LOCK_TIMEOUT", 0.1)
    with (
        durable.locked(target.store / ".release.lock", ""),
        pytest.raises(OperationsError, match="another release"),
    ):
        release(target, 1, ignore)


def test_a_default_version_can_be_deleted(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """TorchServe refuses to delete its default version: another is made the default first."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    target.server.delete(1)
    assert torchserve.registered.keys() == {2}


def test_a_damaged_record_is_named(target: DeploymentTarget) -> None:
    """A record that cannot be read is an error that says what to do, never taken for no record."""
    target.record_path.write_text("{")
    with pytest.raises(OperationsError, match="damaged"):
        read_record(target.store)


def test_a_rollback_goes_to_the_version_before(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """The version that served before is live again, without being loaded again; another rollback undoes it."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    assert (rollback(target, ignore).version, rollback(target, ignore).version) == (1, 2)
    assert torchserve.files == ["fraud-1.verified.mar", "fraud-2.verified.mar"]


def test_there_must_be_a_version_before(target: DeploymentTarget) -> None:
    """Without a version before the live one a rollback is refused and changes nothing."""
    with pytest.raises(OperationsError, match="nothing to go back"):
        rollback(target, ignore)
    before = release(target, 1, ignore)
    with pytest.raises(OperationsError, match="nothing to go back"):
        rollback(target, ignore)
    assert read_record(target.store) == before


def test_a_number_that_is_used_anew_is_loaded_anew(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """What runs under a number is not taken for the store's version when the store has another of that number."""
    torchserve.registered = {1: ["READY", "READY"]}
    entry = target.store / "fraud-1.json"
    entry.write_text(entry.read_text().replace("2026-01-01", "2026-01-02"))
    with pytest.raises(NotProven, match="another model"):
        release(target, 1, ignore)
    assert torchserve.files == ["fraud-1.verified.mar"]


def test_a_release_waits_for_the_reconciler(target: DeploymentTarget) -> None:
    """Whoever loads a version holds the lock for some seconds."""
    releasing = threading.Thread(target=release, args=(target, 1, ignore))
    with durable.locked(target.store / ".release.lock", ""):
        releasing.start()
        releasing.join(0.2)
        assert releasing.is_alive()
    releasing.join(60)
    assert read_record(target.store) is not None


def test_an_unknown_version_is_told_first(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Nothing is said or done about a version that is not there, whether the server runs or not."""
    messages: list[str] = []
    torchserve.down = True
    with pytest.raises(UnknownVersion, match="no version 99"):
        release(target, 99, messages.append)
    assert messages == []


def test_a_live_version_whose_worker_restarts_is_not_deleted(
    target: DeploymentTarget, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker of two ready it scores: the other is waited for, and not relied on."""
    monkeypatch.setattr(registration, "READY_TIMEOUT", 0.1)
    messages: list[str] = []
    before = release(target, 1, ignore)
    torchserve.registered[1] = ["READY", "UNLOADED"]
    assert release(target, 1, messages.append) == before
    assert (torchserve.files, torchserve.deleted) == (["fraud-1.verified.mar"], [])
    assert "only 1 of its 2 workers" in messages[1]


def test_a_version_that_does_not_answer_now_is_not_deleted(
    target: DeploymentTarget, torchserve: FakeTorchServe
) -> None:
    """When the live version cannot say which model it is, nobody knows that it is another: nothing changes."""
    release(target, 1, ignore)
    torchserve.refuses_to_score = True
    with pytest.raises(TorchServeRefused):
        release(target, 1, ignore)
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY", "READY"]}, [])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_a_release_that_is_interrupted_after_its_record_keeps_what_the_record_names(
    target: DeploymentTarget,
    torchserve: FakeTorchServe,
    monkeypatch: pytest.MonkeyPatch,
    interruption: type[BaseException],
) -> None:
    """Once the record is replaced its version is live, whatever happens then."""

    def interrupted(_: Path) -> None:
        raise interruption

    release(target, 1, ignore)
    monkeypatch.setattr(durable, "_sync_directory", interrupted)
    with pytest.raises(interruption):
        release(target, 2, ignore)
    record = read_record(target.store)
    assert record is not None
    assert (record.version, set(torchserve.registered)) == (2, {1, 2})


def test_a_version_is_not_deleted_on_a_record_that_cannot_be_read(
    target: DeploymentTarget, torchserve: FakeTorchServe
) -> None:
    """Where nobody knows what is live, nothing is deleted."""
    torchserve.broken = {1}

    def spoil(_: str) -> None:
        target.record_path.write_text("{")

    with pytest.raises(TorchServeRefused):
        release(target, 1, spoil)
    assert torchserve.deleted == []


def test_what_an_earlier_release_left_broken_is_deleted(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A version that was registered without a ready worker is none that a failed release must keep."""
    release(target, 1, ignore)
    torchserve.registered[2], torchserve.broken = [], {2}
    with pytest.raises(TorchServeRefused):
        release(target, 2, ignore)
    assert torchserve.registered.keys() == {1}


def test_a_release_deletes_nothing(target: DeploymentTarget, torchserve: FakeTorchServe, tmp_path: Path) -> None:
    """Requests may still be on an older version: the reconciler forgets it when they cannot be any more."""
    add(target.registry, tmp_path, 3)
    for version in (1, 2, 3):
        release(target, version, ignore)
    assert torchserve.deleted == []


def other_thresholds(torchserve: FakeTorchServe, version: int) -> None:
    """Lets a version decline what has a probability of a tenth."""
    torchserve.descriptions[version] = replace(
        torchserve.describe(version), card=replace(card(version), bands=DecisionBands(0.1, 0.1))
    )


RECENT = b"payment,amount\n" + b"".join(b"p%d,%f\n" % (number, number / 200) for number in range(400))


def test_a_version_that_flags_far_more_is_stopped(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A release that would change the share of flagged transactions is told, and changes nothing."""
    before = release(target, 1, ignore)
    other_thresholds(torchserve, 2)
    with pytest.raises(ShiftTooLarge, match=r"80\.0% of transactions.* 0\.0%.*--accept-shift"):
        release(target, 2, ignore, on=RECENT)
    assert read_record(target.store) == before
    assert torchserve.registered.keys() == {1}


def test_a_shift_can_be_accepted(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Whoever means it says so."""
    release(target, 1, ignore)
    other_thresholds(torchserve, 2)
    assert release(target, 2, ignore, accept_shift=True, on=RECENT).version == 2


def test_the_way_back_has_no_gate(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A rollback goes to what served before, however differently it decides."""
    release(target, 1, ignore)
    other_thresholds(torchserve, 2)
    release(target, 2, ignore, accept_shift=True)
    assert rollback(target, ignore).version == 1


def test_a_version_with_other_columns_cannot_be_compared(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Where no row can be scored by both, nobody knows what would change: the release stops and says how to go on."""
    release(target, 1, ignore)
    columns = (Column("claim", Kind.ID), Column("kilograms", Kind.NUMBER))
    contract = Contract("claims", columns, (Feature("kilograms", FeatureKind.NUMBER, "kilograms"),))
    golden = replace(GOLDEN, csv="claim,kilograms\na,1\nb,2\n")
    torchserve.descriptions[2] = replace(torchserve.describe(2), contract=contract, golden=golden)
    entry = target.store / "fraud-2.json"
    entry.write_text(entry.read_text().replace(CONTRACT.fingerprint, contract.fingerprint))
    with pytest.raises(ShiftTooLarge, match="no row can be scored by version 2 and version 1"):
        release(target, 2, ignore)


def test_a_live_version_that_is_gone_is_no_obstacle(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Where the live version scores nothing, a release is the way out and is not compared with it."""
    release(target, 1, ignore)
    torchserve.registered.clear()
    other_thresholds(torchserve, 2)
    assert release(target, 2, ignore, on=RECENT).version == 2


def on_trial(
    target: DeploymentTarget, version: int = 2, share: float = 0.05, kind: TrialKind = TrialKind.CANARY
) -> Release:
    """Puts a version on trial where there is a Redis."""
    return start_trial(replace(target, redis_url="redis://nowhere"), version, kind, share, ignore)


def test_a_trial_is_loaded_proven_and_recorded(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """A version on trial has its workers, and the live version stays the live one."""
    before = release(target, 1, ignore)
    after = on_trial(target)
    assert after.trial
    assert (after.trial.kind, after.trial.version, after.trial.share) == (TrialKind.CANARY, 2, 0.05)
    assert replace(after, trial=None) == before
    assert read_record(target.store) == after
    assert torchserve.registered.keys() == {1, 2}


def test_a_trial_needs_redis(target: DeploymentTarget) -> None:
    """Without a place to count there is no trial."""
    release(target, 1, ignore)
    with pytest.raises(OperationsError, match="REDIS_URL"):
        start_trial(target, 2, TrialKind.SHADOW, 1.0, ignore)


def test_the_live_version_is_not_tried_beside_itself(target: DeploymentTarget) -> None:
    """A trial needs another version than the live one, and a live one."""
    with pytest.raises(OperationsError, match="no live version"):
        on_trial(target, 1)
    release(target, 1, ignore)
    with pytest.raises(OperationsError, match="no live version"):
        on_trial(target, 1)


def test_a_trial_that_fails_to_load_changes_nothing(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """What cannot be loaded is deleted again."""
    before = release(target, 1, ignore)
    torchserve.broken = {2}
    with pytest.raises(TorchServeRefused):
        on_trial(target)
    assert read_record(target.store) == before
    assert torchserve.registered.keys() == {1}


def test_one_trial_at_a_time(target: DeploymentTarget, tmp_path: Path) -> None:
    """While a version is on trial no other is tried or released."""
    add(target.registry, tmp_path, 3)
    release(target, 1, ignore)
    on_trial(target)
    with pytest.raises(OperationsError, match="version 2 is on trial"):
        on_trial(target, 3)
    with pytest.raises(OperationsError, match="version 2 is on trial"):
        release(target, 3, ignore)


def test_a_larger_share_is_the_same_trial(target: DeploymentTarget) -> None:
    """What was counted goes on when only the share changes; another kind of trial begins anew."""
    release(target, 1, ignore)
    first = on_trial(target).trial
    second = on_trial(target, share=0.5).trial
    assert first
    assert second == replace(first, share=0.5)


def test_a_promotion_ends_the_trial(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """The version on trial is released as any other, without being loaded again."""
    release(target, 1, ignore)
    on_trial(target)
    after = promote(target, ignore)
    assert (after.version, after.previous, after.trial) == (2, 1, None)
    assert torchserve.files == ["fraud-1.verified.mar", "fraud-2.verified.mar"]


def test_an_aborted_trial_leaves_the_live_version(target: DeploymentTarget) -> None:
    """The record is as it was before the trial; another abort finds none."""
    before = release(target, 1, ignore)
    on_trial(target)
    assert abort_trial(target, "by hand", ignore) == before
    with pytest.raises(OperationsError, match="no version is on trial"):
        abort_trial(target, "by hand", ignore)


def test_an_abort_does_not_meet_another_trial(target: DeploymentTarget) -> None:
    """Who judged one trial does not end the one that has begun meanwhile."""
    release(target, 1, ignore)
    judged = on_trial(target).trial
    on_trial(target, share=0.5)
    with pytest.raises(OperationsError, match="no version is on trial"):
        abort_trial(target, "slow", ignore, of=judged)


def test_a_rollback_ends_a_trial(target: DeploymentTarget, tmp_path: Path) -> None:
    """It is for emergencies: one command, whatever is going on."""
    add(target.registry, tmp_path, 3)
    release(target, 1, ignore)
    release(target, 2, ignore)
    on_trial(target, 3)
    after = rollback(target, ignore)
    assert (after.version, after.trial) == (1, None)


@pytest.fixture
def unloadable(target: DeploymentTarget, torchserve: FakeTorchServe) -> DeploymentTarget:
    """Version 2 is live, after version 1, and scores nothing any more."""
    release(target, 1, ignore)
    release(target, 2, ignore)
    torchserve.registered.pop(2)
    return target


def test_a_version_takes_over(unloadable: DeploymentTarget) -> None:
    """Instead of a live version that cannot be loaded another serves, and the record says for which."""
    after = take_over(unloadable, 1, ignore)
    assert (after.version, after.previous, after.instead_of) == (1, 2, 2)


def test_nothing_takes_over_from_a_version_that_scores(
    unloadable: DeploymentTarget, torchserve: FakeTorchServe
) -> None:
    """When the live version has come back meanwhile, it stays."""
    torchserve.registered[2] = ["READY"]
    with pytest.raises(OperationsError, match="nothing needs to step in"):
        take_over(unloadable, 1, ignore)


def test_a_release_settles_a_takeover(unloadable: DeploymentTarget) -> None:
    """Released by a person, the version that stepped in serves in its own right."""
    take_over(unloadable, 1, ignore)
    after = release(unloadable, 1, ignore)
    assert (after.version, after.previous, after.instead_of) == (1, 2, None)


@pytest.mark.parametrize(
    "odd", [b"", b"<html>", b'{"code": 200}', b"7", b"null", b"[1]", b'[{"workers": null}]', b"\xff", b"[{}]"]
)
def test_an_odd_answer_is_an_error_for_people(target: DeploymentTarget, torchserve: FakeTorchServe, odd: bytes) -> None:
    """What is no list of versions is told as that, and the server counts as not answering yet."""
    torchserve.odd = odd
    with pytest.raises(TorchServeInvalidAnswer):
        target.server.registered()
    assert not target.server.is_reachable()


def test_a_record_that_the_system_does_not_read_is_told(target: DeploymentTarget) -> None:
    """An error of the file system is one for people."""
    target.record_path.mkdir()
    with pytest.raises(OperationsError, match="Is a directory"):
        read_record(target.store)


def test_versions_are_compared_by_the_thresholds_in_force(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Where the gateways override the thresholds of both cards alike, no card's own ones stop a release."""
    release(target, 1, ignore)
    other_thresholds(torchserve, 2)
    assert release(replace(target, thresholds=ThresholdOverrides(0.2, 0.6)), 2, ignore, on=RECENT).version == 2


def test_no_damage_reaches_the_model_server(target: DeploymentTarget, torchserve: FakeTorchServe) -> None:
    """Cut at every 20th byte, or with a bit of any of 100 bytes changed, no archive is registered or recorded."""
    archive = target.store / "fraud-1.mar"
    data = archive.read_bytes()
    for damaged in (*cuts(data, 20), *flips(data, 100)):
        archive.write_bytes(damaged)
        with pytest.raises(DamagedArchive):
            release(target, 1, ignore)
    assert (torchserve.files, read_record(target.store)) == ([], None)

"""Releases: all or nothing."""

import threading
from pathlib import Path

import pytest

from operations import durable
from operations import release as module
from operations.errors import OperationsError
from operations.registry import DamagedArchive, UnknownVersion
from operations.release import NotProven, Place, recorded, release, rollback
from operations.torchserve import ModelServerOdd, ModelServerRefused
from tests.operations.conftest import add
from tests.operations.fake_torchserve import FakeTorchServe


def quiet(_: str) -> None:
    """Hears nothing."""


def test_a_release_registers_and_records(place: Place, torchserve: FakeTorchServe) -> None:
    """A released version has its workers, is in the record, and had none before it."""
    record = release(place, 1, quiet)
    assert (record.version, record.previous) == (1, None)
    assert recorded(place.registry.root) == record
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_the_version_before_stays_warm(place: Place, torchserve: FakeTorchServe) -> None:
    """The version that served before is in the record and stays registered."""
    release(place, 1, quiet)
    assert release(place, 2, quiet).previous == 1
    assert torchserve.registered.keys() == {1, 2}


def test_a_version_that_runs_is_released_without_loading_it(place: Place, torchserve: FakeTorchServe) -> None:
    """Going back to the version before registers nothing."""
    release(place, 1, quiet)
    release(place, 2, quiet)
    assert release(place, 1, quiet).previous == 2
    assert torchserve.files == ["fraud-1.mar", "fraud-2.mar"]


def test_releasing_the_live_version_keeps_the_one_before(place: Place) -> None:
    """Releasing what is live already changes nothing in the record."""
    release(place, 1, quiet)
    before = release(place, 2, quiet)
    assert release(place, 2, quiet) == before


def test_a_failed_registration_is_deleted(place: Place, torchserve: FakeTorchServe) -> None:
    """TorchServe keeps a version that failed to load; the release deletes it and changes no record."""
    release(place, 1, quiet)
    torchserve.broken = {2}
    with pytest.raises(ModelServerRefused, match="Failed to start workers"):
        release(place, 2, quiet)
    assert torchserve.registered.keys() == {1}
    assert recorded(place.registry.root) == release(place, 1, quiet)


def test_a_version_with_other_scores_is_not_released(place: Place, torchserve: FakeTorchServe) -> None:
    """A version whose golden rows score otherwise than in training is deleted again."""
    torchserve.scores = (0.25, 0.51)
    with pytest.raises(NotProven, match="golden rows"):
        release(place, 1, quiet)
    assert torchserve.registered == {}
    assert recorded(place.registry.root) is None


def test_a_damaged_archive_never_reaches_the_model_server(place: Place, torchserve: FakeTorchServe) -> None:
    """An archive that does not verify is not registered."""
    (place.registry.root / "fraud-1.mar").write_bytes(b"archive X")
    with pytest.raises(DamagedArchive):
        release(place, 1, quiet)
    assert torchserve.files == []


def test_one_release_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release while another runs, and does not end soon, is refused."""
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with (
        durable.held(place.registry.root / ".release.lock", ""),
        pytest.raises(OperationsError, match="another release"),
    ):
        release(place, 1, quiet)


def test_a_default_version_can_be_deleted(place: Place, torchserve: FakeTorchServe) -> None:
    """TorchServe refuses to delete its default version: another is made the default first."""
    release(place, 1, quiet)
    release(place, 2, quiet)
    place.server.delete(1)
    assert torchserve.registered.keys() == {2}


def test_a_damaged_record_is_named(place: Place) -> None:
    """A record that cannot be read is an error that says what to do, never taken for no record."""
    place.record.write_text("{")
    with pytest.raises(OperationsError, match="damaged"):
        recorded(place.registry.root)


def test_a_rollback_goes_to_the_version_before(place: Place, torchserve: FakeTorchServe) -> None:
    """The version that served before is live again, without being loaded again; another rollback undoes it."""
    release(place, 1, quiet)
    release(place, 2, quiet)
    assert (rollback(place, quiet).version, rollback(place, quiet).version) == (1, 2)
    assert torchserve.files == ["fraud-1.mar", "fraud-2.mar"]


def test_there_must_be_a_version_before(place: Place) -> None:
    """Without a version before the live one a rollback is refused and changes nothing."""
    with pytest.raises(OperationsError, match="nothing to go back"):
        rollback(place, quiet)
    before = release(place, 1, quiet)
    with pytest.raises(OperationsError, match="nothing to go back"):
        rollback(place, quiet)
    assert recorded(place.registry.root) == before


def test_a_number_that_is_used_anew_is_loaded_anew(place: Place, torchserve: FakeTorchServe) -> None:
    """What runs under a number is not taken for the store's version when the store has another of that number."""
    torchserve.registered = {1: ["READY", "READY"]}
    entry = place.registry.root / "fraud-1.json"
    entry.write_text(entry.read_text().replace("2026-01-01", "2026-01-02"))
    with pytest.raises(NotProven, match="another model"):
        release(place, 1, quiet)
    assert torchserve.files == ["fraud-1.mar"]


def test_a_release_waits_for_the_reconciler(place: Place) -> None:
    """Whoever loads a version holds the lock for some seconds."""
    releasing = threading.Thread(target=release, args=(place, 1, quiet))
    with durable.held(place.registry.root / ".release.lock", ""):
        releasing.start()
        releasing.join(0.2)
        assert releasing.is_alive()
    releasing.join(60)
    assert recorded(place.registry.root) is not None


def test_an_unknown_version_is_told_first(place: Place, torchserve: FakeTorchServe) -> None:
    """Nothing is said or done about a version that is not there, whether the server runs or not."""
    said: list[str] = []
    torchserve.down = True
    with pytest.raises(UnknownVersion, match="no version 99"):
        release(place, 99, said.append)
    assert said == []


def test_a_live_version_whose_worker_restarts_is_not_deleted(
    place: Place, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one worker of two ready it scores: the other is waited for, and not relied on."""
    monkeypatch.setattr(module, "READY_WITHIN", 0.1)
    said: list[str] = []
    before = release(place, 1, quiet)
    torchserve.registered[1] = ["READY", "UNLOADED"]
    assert release(place, 1, said.append) == before
    assert (torchserve.files, torchserve.deleted) == (["fraud-1.mar"], [])
    assert "only 1 of its 2 workers" in said[0]


def test_a_version_that_does_not_answer_now_is_not_deleted(place: Place, torchserve: FakeTorchServe) -> None:
    """When the live version cannot say which model it is, nobody knows that it is another: nothing changes."""
    release(place, 1, quiet)
    torchserve.refuses_to_score = True
    with pytest.raises(ModelServerRefused):
        release(place, 1, quiet)
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY", "READY"]}, [])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_a_release_that_is_interrupted_after_its_record_keeps_what_the_record_names(
    place: Place, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    """Once the record is replaced its version is live, whatever happens then."""

    def interrupted(_: Path) -> None:
        raise interruption

    release(place, 1, quiet)
    monkeypatch.setattr(durable, "_sync_directory", interrupted)
    with pytest.raises(interruption):
        release(place, 2, quiet)
    record = recorded(place.registry.root)
    assert record is not None
    assert (record.version, set(torchserve.registered)) == (2, {1, 2})


def test_a_version_is_not_deleted_on_a_record_that_cannot_be_read(place: Place, torchserve: FakeTorchServe) -> None:
    """Where nobody knows what is live, nothing is deleted."""

    def spoil(_: str) -> None:
        place.record.write_text("{")

    with pytest.raises(OperationsError, match="damaged"):
        release(place, 1, spoil)
    assert torchserve.deleted == []


def test_what_an_earlier_release_left_broken_is_deleted(place: Place, torchserve: FakeTorchServe) -> None:
    """A version that was registered without a ready worker is none that a failed release must keep."""
    release(place, 1, quiet)
    torchserve.registered[2], torchserve.broken = [], {2}
    with pytest.raises(ModelServerRefused):
        release(place, 2, quiet)
    assert torchserve.registered.keys() == {1}


def test_only_the_live_version_and_the_one_before_stay_loaded(
    place: Place, torchserve: FakeTorchServe, tmp_path: Path
) -> None:
    """Versions that were released before those two cost no memory."""
    for version in (1, 2, 3):
        if version == 3:
            add(place.registry, tmp_path, 3)
        release(place, version, quiet)
    assert torchserve.registered.keys() == {2, 3}


def test_a_release_is_done_although_an_older_version_cannot_be_deleted(
    place: Place, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Freeing memory is no part of the promise."""
    release(place, 1, quiet)
    torchserve.registered[7] = ["READY"]

    def refuse(version: int) -> None:
        raise ModelServerRefused("delete", 500, "")

    monkeypatch.setattr(place.server, "delete", refuse)
    assert release(place, 2, quiet).version == 2
    assert recorded(place.registry.root) is not None


@pytest.mark.parametrize(
    "odd", [b"", b"<html>", b'{"code": 200}', b"7", b"null", b"[1]", b'[{"workers": null}]', b"\xff", b"[{}]"]
)
def test_an_odd_answer_is_an_error_for_people(place: Place, torchserve: FakeTorchServe, odd: bytes) -> None:
    """What is no list of versions is told as that, and the server counts as not answering yet."""
    torchserve.odd = odd
    with pytest.raises(ModelServerOdd):
        place.server.registered()
    assert not place.server.answers()


def test_a_record_that_the_system_does_not_read_is_told(place: Place) -> None:
    """An error of the file system is one for people."""
    place.record.mkdir()
    with pytest.raises(OperationsError, match="Is a directory"):
        recorded(place.registry.root)

"""Releases: all or nothing."""

import pytest

from operations import durable
from operations.errors import OperationsError
from operations.registry import DamagedArchive
from operations.release import NotProven, Place, recorded, release, rollback
from operations.torchserve import ModelServerRefused
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


def test_one_release_at_a_time(place: Place) -> None:
    """A release while another runs is refused."""
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

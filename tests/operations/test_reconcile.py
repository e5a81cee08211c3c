"""The reconciler: whatever happened to TorchServe, the recorded version is brought back."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations import durable, first_model, settings
from operations import release as release_module
from operations.errors import OperationsError
from operations.reconcile import UNREADY_TOO_LONG, Found, Reconciler
from operations.release import Place, recorded, release
from tests.operations.fake_torchserve import FakeTorchServe


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The reconciler's clock."""
    return Clock()


@pytest.fixture
def told() -> list[str]:
    """What the reconciler has said."""
    return []


@pytest.fixture
def reconciler(place: Place, clock: Clock, told: list[str]) -> Reconciler:
    """A reconciler where version 1 is live."""
    release(place, 1, lambda _: None)
    return Reconciler(place, told.append, clock)


def test_nothing_is_loaded_before_the_first_release(place: Place, torchserve: FakeTorchServe) -> None:
    """Without a record nothing is registered."""
    assert Reconciler(place, lambda _: None).look() is Found.NOTHING_RELEASED
    assert torchserve.files == []


def test_a_whole_server_is_left_alone(reconciler: Reconciler, torchserve: FakeTorchServe) -> None:
    """A version with a ready worker is not touched."""
    torchserve.registered[1] = ["READY", "LOADING"]
    assert reconciler.look() is Found.WHOLE
    assert torchserve.files == ["fraud-1.mar"]


def test_a_server_that_started_again_gets_the_recorded_version(
    reconciler: Reconciler, torchserve: FakeTorchServe
) -> None:
    """After a restart, which forgets all versions, the recorded one is registered."""
    torchserve.registered.clear()
    assert reconciler.look() is Found.LOADED
    assert torchserve.registered == {1: ["READY", "READY"]}


def test_a_first_load_is_no_repair(reconciler: Reconciler, torchserve: FakeTorchServe, told: list[str]) -> None:
    """Loading the recorded version at a start is not spoken of; loading it again after it was whole is."""
    torchserve.registered.clear()
    assert (reconciler.look(), told) == (Found.LOADED, [])
    torchserve.registered.clear()
    assert reconciler.look() is Found.LOADED
    assert [text.partition(" in ")[0] for text in told] == ["version 1 was loaded again"]


def test_a_server_that_is_down_is_waited_for(reconciler: Reconciler, torchserve: FakeTorchServe) -> None:
    """A server that does not answer is no failure of the model: the first look after it loads at once."""
    torchserve.down = True
    assert reconciler.look() is Found.SERVER_DOWN
    torchserve.down = False
    torchserve.registered.clear()
    assert reconciler.look() is Found.LOADED


def test_a_version_without_workers_is_registered_afresh(reconciler: Reconciler, torchserve: FakeTorchServe) -> None:
    """A version that is registered with no worker is deleted and registered again, though it is the default."""
    torchserve.registered = {1: [], 2: ["READY"]}
    assert reconciler.look() is Found.LOADED
    assert torchserve.registered[1] == ["READY", "READY"]


def test_a_worker_gets_time_to_start_again(reconciler: Reconciler, torchserve: FakeTorchServe, clock: Clock) -> None:
    """TorchServe restarts its workers itself; only after long without a ready one is the version registered afresh."""
    torchserve.registered[1] = ["UNLOADED", "UNLOADED"]
    assert reconciler.look() is Found.STARTING
    clock.now += UNREADY_TOO_LONG
    assert reconciler.look() is Found.LOADED


def test_a_damaged_archive_is_not_loaded_and_told_once(
    reconciler: Reconciler, place: Place, torchserve: FakeTorchServe, told: list[str], clock: Clock
) -> None:
    """No other version takes the place of one that does not verify; it is tried again, ever less often."""
    (place.registry.root / "fraud-1.mar").write_bytes(b"archive X")
    torchserve.registered.clear()
    for _ in range(3):
        assert reconciler.look() is Found.FAILED
        clock.now += 10
    assert torchserve.registered == {}
    assert len(told) == 1


def test_a_mended_archive_is_loaded(
    reconciler: Reconciler, place: Place, torchserve: FakeTorchServe, clock: Clock
) -> None:
    """Once the archive is put back, the version is loaded at the next try."""
    archive = place.registry.root / "fraud-1.mar"
    whole = archive.read_bytes()
    archive.write_bytes(b"archive X")
    torchserve.registered.clear()
    reconciler.look()
    archive.write_bytes(whole)
    clock.now += 2
    assert reconciler.look() is Found.LOADED


def test_a_release_is_not_disturbed(reconciler: Reconciler, place: Place, torchserve: FakeTorchServe) -> None:
    """While a release holds the lock nothing is mended; after it, all is."""
    torchserve.registered.clear()
    with durable.held(place.registry.root / ".release.lock", ""):
        assert reconciler.look() is Found.RELEASING
        assert torchserve.registered == {}
    assert reconciler.look() is Found.LOADED


@dataclass
class Meanwhile:
    """Something that another process does just before the reconciler gets the lock."""

    act: Callable[[], None]

    def __call__(self, place: Place, patience: float = 0.0) -> object:
        self.act()
        return release_module.alone(place, patience)


def test_what_a_release_changed_meanwhile_is_not_undone(
    reconciler: Reconciler, place: Place, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that saw the state before a release does not act on it."""
    torchserve.registered.clear()
    meanwhile = Meanwhile(lambda: (release(place, 2, lambda _: None), None)[1])
    monkeypatch.setattr("operations.reconcile.alone", meanwhile)
    assert reconciler.look() is Found.RELEASING
    assert torchserve.registered.keys() == {2}


def test_what_another_loaded_meanwhile_is_not_loaded_again(
    reconciler: Reconciler, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that has become ready is left alone."""
    torchserve.registered.clear()
    meanwhile = Meanwhile(lambda: torchserve.registered.update({1: ["READY"]}))
    monkeypatch.setattr("operations.reconcile.alone", meanwhile)
    assert reconciler.look() is Found.RELEASING
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])


def test_a_version_with_a_ready_worker_is_never_deleted(
    reconciler: Reconciler, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody without the lock registers first: the refusal that this gives costs nobody the ready version."""
    torchserve.registered.clear()

    def refused(*_: object) -> None:
        torchserve.registered[1] = ["READY"]
        raise OperationsError("409")

    monkeypatch.setattr("operations.reconcile.load", refused)
    assert reconciler.look() is Found.FAILED
    assert (torchserve.registered, torchserve.deleted) == ({1: ["READY"]}, [])
    assert reconciler.look() is Found.WHOLE


def test_an_odd_answer_ends_nothing(reconciler: Reconciler, torchserve: FakeTorchServe) -> None:
    """One answer that cannot be understood is told, and the next look is as before."""
    torchserve.odd = b"<html>"
    assert reconciler.look() is Found.FAILED
    torchserve.odd = None
    assert reconciler.look() is Found.WHOLE


def test_files_that_cannot_be_read_end_nothing(
    reconciler: Reconciler, place: Place, torchserve: FakeTorchServe
) -> None:
    """A record, an entry or a lock that the system does not open is told, and nothing is raised."""
    torchserve.registered.clear()
    for name in ("release.json", "fraud-1.json", ".release.lock"):
        path = place.registry.root / name
        path.rename(place.registry.root / "aside")
        path.mkdir()
        assert reconciler.look() is Found.FAILED
        path.rmdir()
        (place.registry.root / "aside").rename(path)


def test_another_first_version_waits_for_the_reconciler(
    reconciler: Reconciler, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack that starts with MODEL_PATH at another version than the recorded one loads them one after the other."""
    monkeypatch.setattr(release_module, "PATIENCE", 0.05)
    wanted = settings.read("127.0.0.1", 8000, {"MODEL_PATH": "model_store/fraud-2.mar"}, tmp_path)
    with durable.held(place.registry.root / ".release.lock", ""):
        starting = threading.Thread(target=lambda: asyncio.run(first_model.ensure(wanted, place, lambda _: None)))
        starting.start()
        starting.join(0.3)
        assert starting.is_alive()
    starting.join(60)
    assert (record := recorded(place.registry.root)) is not None
    assert (record.version, record.previous) == (2, 1)

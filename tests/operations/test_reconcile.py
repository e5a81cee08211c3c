"""The reconciler: whatever happened to TorchServe, the recorded version is brought back."""

import pytest

from operations.reconcile import UNREADY_TOO_LONG, Found, Reconciler
from operations.release import Place, release
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

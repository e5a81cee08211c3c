"""Whoever may write into a model store replaces its files at every step: what is used is what was verified."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from contract.model_card import ModelCard
from operations.errors import OperationsError
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.registration import load
from operations.rollout.version_loader import PERMANENT_ERRORS
from operations.store import version_archive
from operations.store.archive_copies import CopyFailed
from operations.store.registry import DamagedArchive, Registry
from operations.store.signing import SigningKeys, UnsignedArchive
from tests.operations.archives import add
from tests.operations.conftest import contents, pack
from tests.operations.fake_torchserve import CONTRACT, FakeTorchServe
from tests.operations.store.test_signing import write_keys
from tests.swapping import at_every_step
from tests.tiny import card


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    """A pair of keys."""
    return write_keys(tmp_path_factory.mktemp("swaps") / "keys")


@pytest.fixture
def good(tmp_path: Path, keys: SigningKeys) -> Registry:
    """A store with version 1, signed; whatever is loaded from it must be signed."""
    registry = Registry(tmp_path / "model_store", keys)
    add(registry, 1)
    return registry


@pytest.fixture
def evil(tmp_path: Path, good: Registry) -> Mapping[Path, bytes]:
    """Archive and entry of another, unsigned version 1, by the paths of the good ones."""
    other = Registry(tmp_path / "evil" / "model_store", SigningKeys())
    (tmp_path / "evil").mkdir()
    add(other, 1, slope=-0.01)
    return {good.root / name: (other.root / name).read_bytes() for name in ("fraud-1.mar", "fraud-1.json")}


def target_with_server(tmp_path: Path, registry: Registry) -> tuple[DeploymentTarget, FakeTorchServe]:
    """A place over a TorchServe that opens what it loads by its name, as the real one does."""
    torchserve = FakeTorchServe(tmp_path / "verified")
    return DeploymentTarget(registry, tmp_path / "verified", torchserve.server(), 2), torchserve


@pytest.mark.parametrize("files", [1, 2], ids=["archive", "archive and entry"])
@pytest.mark.parametrize("from_evil", [False, True], ids=["good to evil", "evil to good"])
def test_torchserve_gets_what_was_verified(
    tmp_path: Path, good: Registry, evil: Mapping[Path, bytes], files: int, *, from_evil: bool
) -> None:
    """An unsigned archive that is there before, or comes at any step, is never unpacked by TorchServe."""
    signed = {path: path.read_bytes() for path in evil}
    changed = dict(list(evil.items())[:files])
    if from_evil:
        for path in changed:
            path.write_bytes(evil[path])
        changed = {path: signed[path] for path in changed}
    target, torchserve = target_with_server(tmp_path, good)
    for _ in at_every_step(changed):
        with contextlib.suppress(OperationsError):
            load(target, 1, lambda _: None)
        torchserve.registered.clear()
        torchserve.default = None
    assert torchserve.loaded
    assert set(torchserve.loaded) == {signed[good.root / "fraud-1.mar"]}
    assert not list(target.verified.iterdir())


@pytest.mark.parametrize("files", [1, 2], ids=["archive", "archive and entry"])
def test_what_is_read_was_verified(good: Registry, evil: Mapping[Path, bytes], files: int) -> None:
    """A version that is opened here is the signed one, or none."""
    signed = version_archive.read_archive(good, 1)
    found = list[version_archive.ArchiveContents]()
    for _ in at_every_step(dict(list(evil.items())[:files])):
        with contextlib.suppress(OperationsError):
            found.append(version_archive.read_archive(good, 1))
    assert found
    assert all((each.model, each.card) == (signed.model, signed.card) for each in found)


def test_what_is_signed_was_registered(good: Registry, evil: Mapping[Path, bytes], tmp_path: Path) -> None:
    """`fraud models sign` signs no archive that came to the place of the one that its entry names."""
    archive = good.root / "fraud-1.mar"
    other = tmp_path / "other.mar"
    other.write_bytes(evil[archive])
    signed = 0
    for _ in at_every_step({archive: evil[archive]}):
        good.signature(1).unlink(missing_ok=True)
        with contextlib.suppress(DamagedArchive):
            signed += good.sign(1).exists()
        if good.signature(1).exists():
            with pytest.raises(UnsignedArchive):
                good.keys.verify(other, good.signature(1))
    assert signed


def test_what_is_taken_in_is_what_was_signed(tmp_path: Path, keys: SigningKeys) -> None:
    """An archive that is replaced while it is added is in the store whole, with its own hash and signature, or not."""
    built = pack(tmp_path / "built.mar", contents(1))
    other = pack(tmp_path / "other.mar", contents(2)).read_bytes()
    registry = Registry(tmp_path / "model_store", keys)
    for _ in at_every_step({built: other}):
        version = registry.next_version()
        registry.add(built, described(version), CONTRACT)
        registry.verify(version)


def described(version: int) -> ModelCard:
    """The card of a version."""
    return replace(card(version), data={"sha256": "0" * 64})


@contextlib.contextmanager
def overwriting(path: Path, data: bytes) -> Iterator[None]:
    """Writes these bytes into a file, and its own back again, for as long as the block lasts."""
    own, ended = path.read_bytes(), threading.Event()

    def write() -> None:
        while not ended.is_set():
            for content in (data, own):
                path.write_bytes(content)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        path.write_bytes(own)


def test_an_archive_that_is_written_while_it_is_read_is_refused_or_whole(
    tmp_path: Path, good: Registry, evil: Mapping[Path, bytes]
) -> None:
    """A file that is changed in its place gives a mixture of both at most to the hash, and none to TorchServe."""
    target, torchserve = target_with_server(tmp_path, good)
    archive = good.root / "fraud-1.mar"
    whole = archive.read_bytes()
    with overwriting(archive, evil[archive]):
        for _ in range(50):
            with contextlib.suppress(DamagedArchive):
                load(target, 1, lambda _: None)
            torchserve.registered.clear()
            torchserve.default = None
    load(target, 1, lambda _: None)
    assert set(torchserve.loaded) == {whole}


def test_there_is_one_copy_at_most(tmp_path: Path, good: Registry) -> None:
    """What a load left that was killed goes at the next one; files that are nobody's copies stay."""
    target, torchserve = target_with_server(tmp_path, good)
    left = target.verified / ".fraud-scratch-0a1b2c3d"
    left.mkdir(parents=True)
    for name in ("fraud-7.verified.mar", ".fraud-scratch-0a1b2c3d/fraud-7.mar", "fraud-1.mar"):
        (target.verified / name).write_bytes(b"left")
    load(target, 1, lambda _: None)
    assert [path.name for path in target.verified.iterdir()] == ["fraud-1.mar"]
    assert len(torchserve.loaded) == 1


def test_a_copy_goes_when_torchserve_refuses_it(tmp_path: Path, good: Registry) -> None:
    """A registration that fails leaves no copy."""
    target, torchserve = target_with_server(tmp_path, good)
    torchserve.deadly = {1}
    with pytest.raises(OperationsError):
        load(target, 1, lambda _: None)
    assert not list(target.verified.iterdir())


def test_a_server_that_loads_from_elsewhere_is_told_of(tmp_path: Path, good: Registry) -> None:
    """Where the two do not share a directory, the error says which one TorchServe should load from."""
    target, torchserve = target_with_server(tmp_path, good)
    torchserve.directory = tmp_path / "elsewhere"
    with pytest.raises(OperationsError, match=f"404 .*does it load from {target.verified}"):
        load(target, 1, lambda _: None)


def test_a_directory_that_cannot_be_written_condemns_no_version(tmp_path: Path, good: Registry) -> None:
    """Without room for a copy nothing is known of the archive: no other version must take over for that."""
    target, _ = target_with_server(tmp_path, good)
    target.verified.write_bytes(b"in its way")
    with pytest.raises(CopyFailed) as refused:
        load(target, 1, lambda _: None)
    assert not isinstance(refused.value, PERMANENT_ERRORS)


@pytest.mark.parametrize("name", ["fraud-1.mar", "fraud-1.json", "fraud-1.sig"])
@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_is_no_plain_file_is_refused(good: Registry, tmp_path: Path, name: str, kind: str) -> None:
    """A link is not followed, even to the very file, and a pipe that nobody writes is not waited for."""
    path = good.root / name
    there = path.rename(tmp_path / name)
    match kind:
        case "link":
            path.symlink_to(there)
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    with pytest.raises((DamagedArchive, UnsignedArchive)):
        good.verify(1)


def test_an_entry_with_a_size_that_is_none_is_damaged(good: Registry) -> None:
    """Anything may stand in an entry; what is no number of bytes makes it one that cannot be read."""
    path = good.root / "fraud-1.json"
    path.write_text(path.read_text().replace(f'"size": {good.entry(1).size}', '"size": "many"'))
    with pytest.raises(DamagedArchive):
        good.verify(1)
    assert good.damaged() == [1]


def test_no_more_is_copied_than_the_entry_says(good: Registry, tmp_path: Path) -> None:
    """A file that has become larger than a disk is refused after as many bytes as were registered."""
    with (good.root / "fraud-1.mar").open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(DamagedArchive), good.verified(1, tmp_path):
        pass
    assert not list(tmp_path.glob(".fraud-scratch-*"))

"""What an archive may hold: nothing that TorchServe would unpack to harm."""

import json
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from contract.golden import GoldenRows
from operations.errors import OperationsError
from operations.store import archive_check
from operations.store.archive_check import RefusedArchive, check_archive
from operations.store.registry import DamagedArchive, Registry
from tests.operations.claims import claims, trained
from tests.operations.conftest import contents, pack
from tests.operations.damages import cuts, flips
from tests.tiny import CONTRACT, card
from training.archive import Parts, build, installed_handler

ZEROS = bytes(100_000)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small archive that is as it should be."""
    return pack(tmp_path / "small.mar", contents(1))


def with_member(archive: Path, member: zipfile.ZipInfo | str, data: bytes = b"") -> None:
    """Adds a file to an archive, whatever its checksums say."""
    with warnings.catch_warnings(), zipfile.ZipFile(archive, "a") as opened:
        warnings.simplefilter("ignore")  # Of a name that is there already.
        opened.writestr(member, data)


def packed_anew(archive: Path, act: Callable[[dict[str, bytes]], object], method: int = zipfile.ZIP_STORED) -> None:
    """Packs the files again after something was done to them; the checksums stay."""
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    act(files)
    with zipfile.ZipFile(archive, "w", method) as opened:
        for name, data in files.items():
            opened.writestr(name, data)


def test_an_archive_as_it_should_be_passes(archive: Path) -> None:
    """Packed or stored, and with entries for its directories."""
    check_archive(archive)
    packed_anew(archive, len, zipfile.ZIP_DEFLATED)
    check_archive(archive)
    with_member(archive, "contract/")
    check_archive(archive)


def test_what_training_builds_passes(tmp_path: Path) -> None:
    """torch-model-archiver's own way of packing is known here."""
    golden = GoldenRows("amount\n1\n", (0.5,))
    parts = Parts(ZEROS, CONTRACT, replace(card(1), data={"sha256": "0" * 64}), golden, installed_handler())
    check_archive(build(parts, tmp_path))


@pytest.mark.parametrize(
    "name", ["/etc/evil", "../evil", "contract/../../evil", "a\\..\\evil", "./evil", "a//evil", "évil", "C:\\evil"]
)
def test_a_path_that_leads_out_is_refused(archive: Path, name: str) -> None:
    """So is one that two programs may read differently."""
    with_member(archive, name)
    with pytest.raises(RefusedArchive, match="leads out"):
        check_archive(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_what_is_neither_file_nor_directory_is_refused(archive: Path, kind: int) -> None:
    """Links and devices have no place in an archive."""
    member = zipfile.ZipInfo("evil")
    member.external_attr = (kind | 0o777) << 16
    with_member(archive, member, b"/etc/passwd")
    with pytest.raises(RefusedArchive, match="link"):
        check_archive(archive)


@pytest.mark.parametrize("name", ["model.pt", "MODEL.PT", "model.pt/"])
def test_a_name_that_is_there_twice_is_refused(archive: Path, name: str) -> None:
    """The second would be written over the first."""
    with_member(archive, name, b"")
    with pytest.raises(RefusedArchive, match="twice"):
        check_archive(archive)


@pytest.mark.parametrize("name", sorted(archive_check.REQUIRED))
def test_a_missing_file_is_refused(archive: Path, name: str) -> None:
    """A version without one of its parts would fail in the worker."""
    packed_anew(archive, lambda files: files.pop(name))
    with pytest.raises(RefusedArchive, match=f"lacks {name}"):
        check_archive(archive)


def test_a_file_that_the_checksums_do_not_know_is_refused(archive: Path) -> None:
    """Nothing comes along unseen."""
    with_member(archive, "evil.py", b"")
    with pytest.raises(RefusedArchive, match="not those of its checksums"):
        check_archive(archive)


def test_changed_content_is_refused(archive: Path) -> None:
    """The checksums are compared, file by file."""
    packed_anew(archive, lambda files: files.update({"model.pt": b"another"}))
    with pytest.raises(RefusedArchive, match=r"model\.pt is not the file"):
        check_archive(archive)


@pytest.mark.parametrize("sums", [b"", b"[]", b"7", b"null", b'{"model.pt": 7}', b"[" * 100_000, b"\xff"])
def test_checksums_that_are_none_are_refused(archive: Path, sums: bytes) -> None:
    """Whatever stands in their file."""
    packed_anew(archive, lambda files: files.update({"checksums.json": sums}))
    with pytest.raises(RefusedArchive):
        check_archive(archive)


@pytest.mark.parametrize(("bound", "value"), [("MAX_BYTES", 99_999), ("MAX_FILES", 8), ("MAX_CHECKSUMS_BYTES", 10)])
def test_more_than_the_bounds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    """An archive of honest size passes only below the bounds."""
    archive = pack(tmp_path / "large.mar", {**contents(1), "model.pt": ZEROS, "notes": b""})
    check_archive(archive)
    monkeypatch.setattr(archive_check, bound, value)
    with pytest.raises(RefusedArchive, match=r"more than|larger than"):
        check_archive(archive)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """A file that unpacks to more than both its headers say, with the CRC of what they say: `zipfile` sees no fault."""
    archive = pack(tmp_path / "bomb.mar", {**contents(1), "model.pt": b"\0"})
    packed_anew(archive, lambda files: files.update({"model.pt": ZEROS}), zipfile.ZIP_DEFLATED)
    true, output = (struct.pack("<I", zlib.crc32(data)) for data in (ZEROS, b"\0"))
    data = archive.read_bytes()
    assert data.count(true) == 2
    spoilt = data.replace(true, output).replace(struct.pack("<I", len(ZEROS)), struct.pack("<I", 1))
    archive.write_bytes(spoilt)
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("model.pt") == b"\0"
    with pytest.raises(RefusedArchive, match="larger than it says"):
        check_archive(archive)


def test_what_is_packed_and_not_listed_is_refused(archive: Path) -> None:
    """TorchServe unpacks what it meets first; `zipfile` alone would not look at it."""
    hidden = zipfile.ZipInfo("../evil")
    hidden.CRC = hidden.compress_size = 0
    archive.write_bytes(hidden.FileHeader() + archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
    with pytest.raises(RefusedArchive, match="do not agree"):
        check_archive(archive)


def test_what_lies_between_files_and_listing_is_refused(archive: Path) -> None:
    """A file that was taken out of the listing alone is still there."""
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("evil.py", b"")
        del opened.filelist[-1]
    with pytest.raises(RefusedArchive, match="more than it lists"):
        check_archive(archive)


def _refused(registry: Registry, damaged: bytes) -> bool:
    """Whether version 1 does not verify with these bytes for its archive."""
    (registry.root / "fraud-1.mar").write_bytes(damaged)
    try:
        registry.verify(1)
    except DamagedArchive:
        return True
    return False


def test_damage_is_always_refused_by_the_registry(registry: Registry) -> None:
    """Cut anywhere, or with a bit of any of 500 bytes changed, an archive does not verify."""
    data = (registry.root / "fraud-1.mar").read_bytes()
    assert all(_refused(registry, damaged) for damaged in (*cuts(data), *flips(data)))


@pytest.fixture(scope="module")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A store whose version 1 was trained, exported and packed by training."""
    directory = tmp_path_factory.mktemp("trained")
    registry = Registry(directory / "model_store")
    trained(registry, directory / "claims.csv", claims(), epochs=1)
    return registry


def test_damage_to_what_training_built_is_refused(trained_store: Registry) -> None:
    """A real archive does not verify with a bit of any of 500 bytes changed, nor cut at any of 2,000 places."""
    data = (trained_store.root / "fraud-1.mar").read_bytes()
    assert all(_refused(trained_store, damaged) for damaged in flips(data))
    assert all(_refused(trained_store, damaged) for damaged in cuts(data, len(data) // 2000))


def test_damage_before_it_is_registered_is_refused_or_harmless(archive: Path) -> None:
    """Of an archive that no hash is known of yet, no damage raises anything else or changes what is unpacked."""
    data = archive.read_bytes()
    for damaged in (*cuts(data), *flips(data)):
        archive.write_bytes(damaged)
        try:
            check_archive(archive)
        except RefusedArchive:
            continue
        assert len(damaged) == len(data)
        with zipfile.ZipFile(archive) as opened:
            sums = json.loads(opened.read("checksums.json"))
            assert sums.keys() < set(opened.namelist())


def test_the_registry_refuses_what_was_added_unseen(registry: Registry, archive: Path) -> None:
    """The right hash does not make an archive harmless: an older release may have taken it in."""
    with_member(archive, "../evil")
    with pytest.MonkeyPatch.context() as before:
        before.setattr("operations.store.registry.check_archive", lambda _: None)
        registry.add(archive, replace(card(3), data={"sha256": "0" * 64}), CONTRACT)
    with pytest.raises(OperationsError, match="leads out"):
        registry.verify(3)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """What the system does not open is no archive."""
    with pytest.raises(RefusedArchive, match="FileNotFoundError"):
        check_archive(tmp_path / "none.mar")

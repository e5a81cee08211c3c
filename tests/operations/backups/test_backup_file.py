"""The file that a backup is: what was written is read, and nothing else is."""

import hashlib
import io
import json
import random
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.backups import backup_file
from operations.backups.backup_file import DamagedBackup, FileChanged, Item, Manifest
from tests.timeouts import WAIT_SECONDS

CREATED = "2026-01-01T00:00:00+00:00"
FILES = {"model_store/fraud-1.mar": b"archive" * 100, "model_store/release.json": b"{}\n", "labels/empty": b""}
FLIPS = 500


def _item(name: str, content: bytes) -> Item:
    return Item(name, hashlib.sha256(content).hexdigest(), len(content))


def _written(path: Path, files: dict[str, bytes]) -> Manifest:
    manifest = Manifest(CREATED, tuple(_item(name, content) for name, content in files.items()))
    backup_file.write(path, manifest, lambda wanted: io.BytesIO(files[wanted.name]))
    return manifest


def _contents(path: Path) -> dict[str, bytes]:
    kept: dict[str, io.BytesIO] = {}

    @contextmanager
    def keep(found: Item) -> Iterator[BinaryIO]:
        yield kept.setdefault(found.name, io.BytesIO())

    backup_file.read(path, keep)
    return {name: file.getvalue() for name, file in kept.items()}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A small backup."""
    _written(tmp_path / "backup.tar", FILES)
    return tmp_path / "backup.tar"


@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,9}/[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True), st.binary(max_size=2000)
    )
)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    """Any files come back as they were, and the file is as long as its manifest says."""
    path = tmp_path_factory.mktemp("any") / "backup.tar"
    manifest = _written(path, files)
    assert _contents(path) == files
    assert path.stat().st_size == manifest.file_size


def test_tar_and_sha256sum_understand_it(backup: Path, tmp_path: Path) -> None:
    """Without this program, a person gets at everything and can check the manifest."""
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xf", backup], cwd=tmp_path / "out", check=True, timeout=WAIT_SECONDS)
    subprocess.run(["sha256sum", "--check", "SHA256"], cwd=tmp_path / "out", check=True, timeout=WAIT_SECONDS)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == FILES
    with tarfile.open(backup) as opened:
        assert [member.name for member in opened] == ["SHA256", "manifest.json", *FILES]


def test_every_truncation_is_refused(backup: Path, tmp_path: Path) -> None:
    """A backup that ends too early is refused, wherever it ends."""
    whole, torn = backup.read_bytes(), tmp_path / "torn.tar"
    torn.write_bytes(whole)
    with torn.open("r+b") as file:
        for length in reversed(range(len(whole))):
            file.truncate(length)
            with pytest.raises(DamagedBackup):
                backup_file.read(torn)


def test_every_flipped_byte_is_refused(backup: Path, tmp_path: Path) -> None:
    """One changed bit in any byte is found, in headers and padding too; and 500 changes of anything to anything."""
    whole, draw = backup.read_bytes(), random.Random(0)  # noqa: S311 - where to damage a test file is no secret
    changes = [(place, 1 << draw.randrange(8)) for place in range(len(whole))]
    changes += [(draw.randrange(len(whole)), draw.randrange(1, 256)) for _ in range(FLIPS)]
    with (tmp_path / "changed.tar").open("w+b") as file:
        file.write(whole)
        for place, change in changes:
            for value in (whole[place] ^ change, whole[place]):
                file.seek(place)
                file.write(bytes([value]))
                file.flush()
                if value != whole[place]:
                    with pytest.raises(DamagedBackup):
                        backup_file.read(tmp_path / "changed.tar")


@pytest.mark.parametrize("more", [b"\0", bytes(512), b"x" * 10_240])
def test_bytes_after_the_end_are_refused(backup: Path, more: bytes) -> None:
    """Nothing may follow."""
    with backup.open("ab") as file:
        file.write(more)
    with pytest.raises(DamagedBackup):
        backup_file.read(backup)


def _sealed(path: Path, fields: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    """A backup by someone who knows the format: the manifest's digest is right."""
    described = (json.dumps(fields, indent=1) + "\n").encode()
    seal = f"{hashlib.sha256(described).hexdigest()}  manifest.json\n".encode()
    first = [(_plain("SHA256", seal), seal), (_plain("manifest.json", described), described)]
    data = b"".join(header.tobuf(tarfile.USTAR_FORMAT) + _filled(content) for header, content in members)
    start = b"".join(backup_file._header(header.name, header.size) + _filled(content) for header, content in first)
    path.write_bytes(start + data + bytes(1024))


def _plain(name: str, content: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    return header


def _filled(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../evil", "model_store/../evil", "model_store/.lock", "model_store/a/b", "x", "a/" + "b" * 99],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    """Absolute paths, dots and depth are refused, though every digest is right."""
    listed = {"name": name, "sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    _sealed(
        tmp_path / "evil.tar", {"format": 1, "created": CREATED, "files": [listed]}, [(_plain(name[:99], b"x"), b"x")]
    )
    with pytest.raises(DamagedBackup, match="no name"):
        backup_file.read(tmp_path / "evil.tar")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_member_that_is_no_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    """Links, directories and devices are refused."""
    header = _plain("labels/link", b"")
    header.type, header.linkname = kind, "/etc/passwd"
    fields = {"format": 1, "created": CREATED, "files": [asdict(_item("labels/link", b""))]}
    _sealed(tmp_path / "evil.tar", fields, [(header, b"")])
    with pytest.raises(DamagedBackup):
        backup_file.read(tmp_path / "evil.tar")


def test_a_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    """A second file of the same name is refused."""
    listed = asdict(_item("labels/a", b"x"))
    fields = {"format": 1, "created": CREATED, "files": [listed, listed]}
    _sealed(tmp_path / "evil.tar", fields, [(_plain("labels/a", b"x"), b"x")] * 2)
    with pytest.raises(DamagedBackup, match="twice"):
        backup_file.read(tmp_path / "evil.tar")


def test_an_unlisted_member_is_refused(backup: Path) -> None:
    """A member more than the manifest lists is refused."""
    whole = backup.read_bytes()
    header = backup_file._header("labels/more", 0)
    backup.write_bytes(whole[:-1024] + header + whole[-1024:])
    with pytest.raises(DamagedBackup):
        backup_file.read(backup)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1 << 40},
        {"size": -1},
        {"size": True},
        {"size": "1"},
        {"sha256": "x"},
        {"sha256": "A" * 64},
        {"mode": 1},
    ],
)
def test_a_manifest_of_another_shape_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    """Sizes beyond bounds, other types and other fields are refused before a byte of a file is read."""
    fields = {"format": 1, "created": CREATED, "files": [asdict(_item("labels/a", b"x")) | change]}
    _sealed(tmp_path / "evil.tar", fields, [(_plain("labels/a", b"x"), b"x")])
    with pytest.raises(DamagedBackup):
        backup_file.read(tmp_path / "evil.tar")


def test_another_format_says_so(tmp_path: Path) -> None:
    """A backup by a later release is told from a damaged one."""
    _sealed(tmp_path / "later.tar", {"format": 2, "created": CREATED, "files": []}, [])
    with pytest.raises(DamagedBackup, match="another release"):
        backup_file.read(tmp_path / "later.tar")


def test_a_file_that_changed_while_it_was_written_is_noticed(tmp_path: Path) -> None:
    """What is written must be what was listed."""
    manifest = Manifest(CREATED, (_item("labels/a", b"before"),))
    with pytest.raises(FileChanged, match="labels/a changed"):
        backup_file.write(tmp_path / "backup.tar", manifest, lambda _: io.BytesIO(b"after!"))


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A file of 64 MB is written and read in less than 8."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64_000_000)
    with large.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tracemalloc.start()
    manifest = Manifest(CREATED, (Item("labels/large", digest, 64_000_000),))
    backup_file.write(tmp_path / "backup.tar", manifest, lambda _: large.open("rb"))
    backup_file.read(tmp_path / "backup.tar")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000

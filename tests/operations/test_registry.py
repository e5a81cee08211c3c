"""The registry: immutable versions, verified archives."""

import json
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.registry import DamagedArchive, Registry, UnknownVersion
from tests.operations.conftest import add


def test_an_empty_store_begins_with_version_1(tmp_path: Path) -> None:
    """A store that does not exist yet has no versions, and the first is number 1."""
    registry = Registry(tmp_path / "none")
    assert registry.entries() == []
    assert registry.next_version() == 1


def test_versions_are_listed_in_order_of_their_numbers(registry: Registry, tmp_path: Path) -> None:
    """Version 10 comes after version 2, and the next is 11."""
    add(registry, tmp_path, 10)
    assert [entry.version for entry in registry.entries()] == [1, 2, 10]
    assert registry.next_version() == 11


def test_an_added_archive_verifies(registry: Registry) -> None:
    """What was added is what verify gives out."""
    assert registry.verify(1).read_bytes() == b"archive 1"


def test_a_version_is_never_replaced(registry: Registry, tmp_path: Path) -> None:
    """Adding an existing version is refused and leaves it as it was."""
    (tmp_path / "built-1.mar").write_bytes(b"another")
    with pytest.raises(OperationsError, match="version 1 exists"):
        add(registry, tmp_path, 1)
    assert registry.verify(1).read_bytes() == b"archive 1"


@pytest.mark.parametrize("damage", [b"archive X", b"archive", b"archive 1 and more", b""])
def test_a_changed_archive_is_refused(registry: Registry, damage: bytes) -> None:
    """Changed, cut or lengthened bytes do not verify."""
    (registry.root / "fraud-1.mar").write_bytes(damage)
    with pytest.raises(DamagedArchive, match="SHA-256"):
        registry.verify(1)


def test_a_missing_archive_is_refused(registry: Registry) -> None:
    """An entry without its archive does not verify."""
    (registry.root / "fraud-1.mar").unlink()
    with pytest.raises(DamagedArchive):
        registry.verify(1)


def test_an_unknown_version_is_named(registry: Registry) -> None:
    """Asking for a version that is not there says so."""
    with pytest.raises(UnknownVersion, match="no version 7"):
        registry.verify(7)


@pytest.mark.parametrize("field", [{"file": "../evil.mar"}, {"version": 2}])
def test_an_entry_cannot_point_elsewhere(registry: Registry, field: dict[str, object]) -> None:
    """An entry that names another file or version than its own is refused."""
    path = registry.root / "fraud-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | field))
    with pytest.raises(DamagedArchive):
        registry.verify(1)


def test_an_archive_without_an_entry_is_no_version(registry: Registry) -> None:
    """The remains of a crash between archive and entry are not listed and are written over."""
    (registry.root / "fraud-3.mar").write_bytes(b"half")
    assert registry.next_version() == 3
    add(registry, registry.root.parent, 3)
    assert registry.verify(3).read_bytes() == b"archive 3"

"""The registry: immutable versions, verified archives."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.files import durable
from operations.store import registry as module
from operations.store.archive_check import RefusedArchive
from operations.store.registry import DamagedArchive, Registry, UnknownVersion
from tests.operations.conftest import add, contents, pack
from tests.operations.fake_torchserve import CONTRACT
from tests.tiny import card


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
    assert (registry.root / "fraud-1.mar").read_bytes() == (registry.root.parent / "built-1.mar").read_bytes()


def test_a_version_is_never_replaced(registry: Registry, tmp_path: Path) -> None:
    """Adding an existing version is refused and leaves it as it was."""
    before = (registry.root / "fraud-1.mar").read_bytes()
    another = pack(tmp_path / "another.mar", contents(7))
    with pytest.raises(OperationsError, match="version 1 exists"):
        registry.add(another, card(1), CONTRACT)
    assert (registry.root / "fraud-1.mar").read_bytes() == before


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
    """The remains of a crash between archive and entry are not listed, and their number is not used again."""
    (registry.root / "fraud-3.mar").write_bytes(b"half")
    assert [entry.version for entry in registry.entries()] == [1, 2]
    assert registry.next_version() == 4


def test_a_released_number_is_not_used_again(registry: Registry) -> None:
    """A gateway may hold what was released under a number, although its files are gone; a damaged record says none."""
    (registry.root / "release.json").write_text('{"version": 7, "previous": 9, "released": ""}')
    assert registry.next_version() == 10
    (registry.root / "release.json").write_text("{")
    assert registry.next_version() == 3


def test_a_number_that_was_tried_is_not_used_again(registry: Registry) -> None:
    """Nor is that of a version on trial, or of one that another has stepped in for."""
    trial = {"kind": "shadow", "version": 12, "share": 1, "started": ""}
    record = {"version": 2, "previous": None, "released": "", "trial": trial, "instead_of": 11}
    (registry.root / "release.json").write_text(json.dumps(record))
    assert registry.next_version() == 13


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", "7", "{}", '{"version": 2}', "[" * 100_000, '{"metrics": null}']
)
def test_a_damaged_entry_hides_no_other(registry: Registry, damage: str) -> None:
    """The good versions are listed, the damaged one is named, and its number is not used again."""
    path = registry.root / "fraud-2.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | json.loads(damage)) if "metrics" in damage else damage)
    assert [entry.version for entry in registry.entries()] == [1]
    assert registry.damaged() == [2]
    assert registry.next_version() == 3


def test_an_entry_that_cannot_be_read_is_damaged(registry: Registry) -> None:
    """An error of the file system is one for people."""
    (registry.root / "fraud-3.json").mkdir()
    assert registry.damaged() == [3]
    with pytest.raises(DamagedArchive, match="Is a directory"):
        registry.entry(3)


def test_what_a_newer_release_added_to_an_entry_is_ignored(registry: Registry) -> None:
    """An entry with more fields is read as if it had not."""
    path, before = registry.root / "fraud-1.json", registry.entry(1)
    path.write_text(json.dumps({**json.loads(path.read_text()), "signature": "x"}))
    assert registry.entry(1) == before


def test_an_archive_that_must_not_be_unpacked_is_not_taken_in(registry: Registry, tmp_path: Path) -> None:
    """It is refused before anything is copied."""
    (tmp_path / "bad.mar").write_bytes(b"no archive")
    before = sorted(registry.root.iterdir())
    with pytest.raises(RefusedArchive):
        registry.add(tmp_path / "bad.mar", card(3), CONTRACT)
    assert sorted(registry.root.iterdir()) == before


def test_an_archive_waits_for_a_backup(registry: Registry, tmp_path: Path) -> None:
    """While a backup holds the store, a trained model waits to be taken in."""
    adding = threading.Thread(target=add, args=(registry, tmp_path, 3))
    with durable.locked(registry.root / ".lock", ""):
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
    adding.join(60)
    registry.verify(3)


def test_a_lock_that_is_not_let_go_is_told(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait ends."""
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.1)
    began = time.monotonic()
    with durable.locked(registry.root / ".lock", ""), pytest.raises(durable.LockHeld, match="another process adds"):
        add(registry, tmp_path, 3)
    assert time.monotonic() - began >= 0.1


def test_an_interruption_after_the_move_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the temporary file is gone, an interruption stays one, and the file is in its place."""
    move = os.replace

    def interrupted(name: str, target: Path) -> None:
        move(name, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        durable.write(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_lock_that_cannot_be_opened_is_an_error_for_people(tmp_path: Path) -> None:
    """What the file system refuses is said in one line."""
    with pytest.raises(OperationsError, match="No such file"), durable.locked(tmp_path / "none" / ".lock", ""):
        pass


def test_the_newest_version_is_the_highest_number(registry: Registry, tmp_path: Path) -> None:
    """The newest is the last that was added; an empty store has none and says what makes one."""
    assert registry.newest() == 2
    with pytest.raises(UnknownVersion, match="fraud train"):
        Registry(tmp_path / "empty").newest()


def test_an_entry_names_the_columns_of_its_version(registry: Registry) -> None:
    """Which columns a version takes can be known without loading it."""
    assert registry.entry(1).inputs == ("payment", "amount")


def test_an_entry_without_columns_is_still_read(registry: Registry) -> None:
    """An earlier release of this software wrote none."""
    path = registry.root / "fraud-1.json"
    found = json.loads(path.read_text())
    del found["inputs"]
    path.write_text(json.dumps(found))
    assert registry.entry(1).inputs == ()
    assert registry.damaged() == []


@pytest.mark.parametrize("inputs", [7, None, [7], [["a"]]])
def test_columns_that_are_no_names_are_damage(registry: Registry, inputs: object) -> None:
    """An entry whose columns are no list of names is none."""
    path = registry.root / "fraud-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": inputs}))
    with pytest.raises(DamagedArchive):
        registry.entry(1)

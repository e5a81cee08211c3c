"""Locks and new files in a directory that others write into."""

import threading
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.files.durable import LockHeld, create, locked


def test_a_lock_that_is_a_link_shortens_nothing(tmp_path: Path) -> None:
    """Its holder writes into it: where a link stands in its place, what the link leads to stays as it is."""
    kept = tmp_path / "kept"
    kept.write_text("of value")
    (tmp_path / "lock").symlink_to(kept)
    with pytest.raises(OperationsError, match="cannot be locked"), locked(tmp_path / "lock", "busy"):
        pass
    assert kept.read_text() == "of value"


def test_a_lock_that_was_replaced_is_not_held_by_who_waited(tmp_path: Path) -> None:
    """Two that wait, one at the old file and one at the new, do not both go on."""
    lock, inside = tmp_path / "lock", threading.Semaphore(0)
    output, leave = threading.Event(), threading.Event()

    def wait() -> None:
        output.set()
        with locked(lock, "busy", 30):
            inside.release()
            leave.wait(30)

    with locked(lock, "busy"):
        thread = threading.Thread(target=wait)
        thread.start()
        output.wait(30)
        lock.unlink()
        lock.touch()
    assert inside.acquire(timeout=30)
    with pytest.raises(LockHeld), locked(lock, "busy"):
        pass
    leave.set()
    thread.join()


def test_a_holder_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A directory in its place is told at once."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(OperationsError, match="cannot be locked"), locked(tmp_path / "lock", "busy", 30):
        pass


def test_a_new_file_takes_no_other_s_place(tmp_path: Path) -> None:
    """It is not there before it is whole; where another has come meanwhile, that one stays, and nothing else."""
    path = tmp_path / "new"
    with create(path) as file:
        file.write("whole\n")
        assert not path.exists()
    assert path.read_text() == "whole\n"
    with pytest.raises(FileExistsError), create(tmp_path / "late") as file:
        (tmp_path / "late").write_text("mine")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"new": "whole\n", "late": "mine"}

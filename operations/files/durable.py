"""Atomic and durable file writes, and file locks that end with the process that holds them.

A file is written to a scratch file beside it, synced and renamed, so that a reader finds the old one or the new one
and never a part; the directory is synced too, or a power cut could undo the rename.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import IO

from operations.errors import OperationsError
from operations.files import plain_file, scratch

RETRY_SECONDS = 0.05
LOCK_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""The holder truncates the file: a symbolic link must not lead it to another one."""
MAX_PID_BYTES = 20


class LockHeld(OperationsError):
    """Another process holds a lock."""


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replaces a file by one with these bytes."""
    with _replacing(path, mode) as file:
        file.write(data)


def copy(source: Path, path: Path, mode: int = 0o600) -> None:
    """Replaces a file by a copy of another."""
    with source.open("rb") as original, _replacing(path, mode) as file:
        shutil.copyfileobj(original, file, 1 << 20)


@contextmanager
def create(path: Path) -> Iterator[IO[str]]:
    """A new text file in UTF-8, which appears under its name when it is complete, and replaces no other file.

    Raises:
        FileExistsError: something has that name by then; a symbolic link counts too.
    """
    with _replacing(path, 0o600, os.link) as file:
        text = TextIOWrapper(file, encoding="utf-8", newline="")
        yield text
        text.detach()


@contextmanager
def _replacing(path: Path, mode: int, put: Callable[[Path, Path], object] | None = None) -> Iterator[BufferedWriter]:
    descriptor, name = tempfile.mkstemp(prefix=scratch.PREFIX, dir=path.parent)
    written = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            (put or os.replace)(written, path)
    finally:
        written.unlink(missing_ok=True)  # It is gone when it was moved.
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(lock: Path, refusal: str, timeout: float = 0.0) -> Iterator[None]:
    """Holds a lock file, after waiting for at most `timeout` seconds; the kernel releases it however its holder ends.

    Raises:
        LockHeld: with the refusal: another process holds it.
        OperationsError: the file cannot be opened.
    """
    until = time.monotonic() + timeout
    while (file := _try_lock(lock)) is None:
        if time.monotonic() >= until:
            raise LockHeld(f"{refusal}{_holder_note(lock)}")
        time.sleep(RETRY_SECONDS)
    with file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _try_lock(lock: Path) -> IO[str] | None:
    """The lock's file, held; None where another process holds it, or has put another file in its place.

    A process that locked a file which was replaced meanwhile would hold a lock that no other process tries.
    """
    with contextlib.ExitStack() as closing:
        file = closing.enter_context(_open(lock))
        if not _flock(file) or not _is_in_place(file, lock):
            return None
        closing.pop_all()
        return file


def _is_in_place(file: IO[str], lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), lock.lstat())
    except OSError:
        return False


def _holder_note(lock: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        if (pid := plain_file.read(lock, MAX_PID_BYTES).decode()).isdecimal():
            return f" (process {pid})"
    return ""


def _open(lock: Path) -> IO[str]:
    try:
        return os.fdopen(os.open(lock, LOCK_FLAGS, 0o644), "a")
    except OSError as error:
        raise OperationsError(f"{lock} cannot be locked: {error.strerror}") from None


def _flock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise OperationsError(f"{file.name} cannot be locked: {error.strerror}") from None
    return True

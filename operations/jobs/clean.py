"""`fraud clean`: deletes what is ours, old, and of no use to anybody; made to be run each day.

Old logs, scratch of killed commands, and the oldest verdicts of retraining. Scratch is told by its prefix
(`operations.files.scratch`) and its age; all else by the exact names that this software gives, in the one directory
where it writes them. Nothing else is deleted: no archive, entry, signature, record, journal, lock or backup. No link is
followed: neither a file that is one, nor a directory of ours that was replaced by one.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from operations.errors import OperationsError, in_words
from operations.files import scratch
from operations.processes.supervisor import MARK
from operations.settings import StatePaths

DAY = 86_400.0
CLEAN_DAYS = "CLEAN_DAYS"
DEFAULT_DAYS, MOST_DAYS = 14, 3650
VERDICTS_KEPT = 52
"""A year of weekly trainings."""
TREE_DAYS = 7
"""Of scratch directories outside $TMPDIR: a training writes nothing into its own for as long as it learns."""
RANDOM = "(?![0-9]{8})[a-z0-9_]{8}"
"""What `tempfile` puts at the end of a name; eight digits are a date that a person has put there."""
ROTATED = re.compile(r"[a-z]+\.(log|jsonl)\.[1-9][0-9]?")
STACK = re.compile(f"fraud-{RANDOM}")
SCRATCH = re.compile(rf"{re.escape(scratch.PREFIX)}[a-z0-9_]{{8}}")
VERDICT = re.compile(r"fraud-([1-9][0-9]{0,8})\.json")
WRITTEN = ("run", "jobs", "verdicts", "backups", "restored")
"""The directories of var/ that files are written into."""
STACK_MODE = 0o700
"""What `tempfile` gives; what a person made under such a name has another mode, as a rule."""
IN_STACK = re.compile("ts")
"""What may lie in the scratch directory of a stack."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Something that goes.

    Attributes:
        size: in bytes, with all that is in it.
    """

    path: Path
    what: str
    size: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """Something as it lies there, seen without following a link."""

    path: Path
    status: os.stat_result

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file of ours."""
        return stat.S_ISREG(self.status.st_mode) and self.status.st_uid == os.geteuid()

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory of ours."""
        return stat.S_ISDIR(self.status.st_mode) and self.status.st_uid == os.geteuid()

    @property
    def mode(self) -> int:
        """Who may do what with it."""
        return stat.S_IMODE(self.status.st_mode)


def clean(
    paths: StatePaths, env: Mapping[str, str], write_line: Callable[[str], None], *, dry_run: bool = False
) -> int:
    """Deletes what is old, and says what and how much.

    Args:
        paths: the directory and its model store.
        env: the environment.
        write_line: takes each line.
        dry_run: only says what would go.

    Returns:
        How many bytes were freed, or would be.

    Raises:
        OperationsError: CLEAN_DAYS is no number of days; or something could not be deleted, when all else is.
    """
    for link in _links(paths):
        write_line(f"{link} is a link and is left alone")
    freed, failures, verb = 0, list[str](), "would delete" if dry_run else "deleted"
    for deletion in candidates(paths, env, time.time()):
        try:
            if not dry_run:
                _delete(deletion.path)
        except OSError as error:
            failures.append(in_words(error))
        else:
            write_line(f"{verb} {deletion.path}: {deletion.what}, {deletion.size} bytes")
            freed += deletion.size
    write_line(f"{freed} bytes {'would be' if dry_run else 'were'} freed")
    if failures:
        raise OperationsError(f"{len(failures)} could not be deleted; the first: {failures[0]}")
    return freed


def candidates(paths: StatePaths, env: Mapping[str, str], now: float) -> list[Deletion]:
    """What goes now, in seconds since 1970.

    Raises:
        OperationsError: CLEAN_DAYS is no number of days.
    """
    var, oldest_log = paths.root / "var", now - _days(env) * DAY
    links = set(_links(paths))
    deletions = [
        *_files(var / "log", ROTATED, oldest_log, "an old log"),
        *_temporary(Path(tempfile.gettempdir()).resolve(), now),
        *(each for tree in (paths.store, *(var / name for name in WRITTEN)) for each in _scratch(tree, now, TREE_DAYS)),
        *_verdicts(paths.verdicts),
    ]
    return [each for each in deletions if links.isdisjoint(each.path.parents)]


def _links(paths: StatePaths) -> list[Path]:
    """Directories of ours that were replaced by links: what lies there may be somebody else's."""
    var = paths.root / "var"
    ours = (paths.store, var, var / "log", *(var / name for name in WRITTEN))
    return [path for path in ours if path.is_symlink()]


def _days(env: Mapping[str, str]) -> int:
    text = env.get(CLEAN_DAYS) or str(DEFAULT_DAYS)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        raise OperationsError(f"{CLEAN_DAYS} is a number of days from 1 to {MOST_DAYS}")
    return int(text)


def _files(directory: Path, names: re.Pattern[str], before: float, what: str) -> Iterator[Deletion]:
    for file in _listed(directory):
        if file.is_file and names.fullmatch(file.path.name) and file.status.st_mtime < before:
            yield Deletion(file.path, what, file.status.st_size)


def _temporary(directory: Path, now: float) -> Iterator[Deletion]:
    """What commands and stacks that were killed left in $TMPDIR; while a stack runs it may be its own."""
    yield from _scratch(directory, now, 1)
    stacks = [
        each
        for each in _directories(directory, STACK, now - DAY, "left by a stack that was killed", STACK_MODE)
        if all(IN_STACK.fullmatch(content.path.name) for content in _listed(each.path))
    ]
    if stacks and not _a_stack_runs():
        yield from stacks


def _scratch(directory: Path, now: float, days: int) -> Iterator[Deletion]:
    """Scratch in a directory: files that are not written to for a day, directories for `days`."""
    yield from _files(directory, SCRATCH, now - DAY, "an unfinished file")
    yield from _directories(directory, SCRATCH, now - days * DAY, "left by a command that was killed")


def _directories(
    directory: Path, names: re.Pattern[str], before: float, what: str, mode: int | None = None
) -> Iterator[Deletion]:
    for file in _listed(directory):
        if file.is_directory and mode in (None, file.mode) and names.fullmatch(file.path.name):
            newest, size = _tree(file)
            if newest < before:
                yield Deletion(file.path, what, size)


def _verdicts(directory: Path) -> Iterator[Deletion]:
    numbered = [(int(match[1]), file) for file in _listed(directory) if (match := VERDICT.fullmatch(file.path.name))]
    for _, file in sorted(numbered, key=lambda pair: pair[0])[:-VERDICTS_KEPT]:
        if file.is_file:
            yield Deletion(file.path, f"a verdict older than the newest {VERDICTS_KEPT}", file.status.st_size)


def _listed(directory: Path) -> list[ListedFile]:
    """What is in a directory, by name; nothing where it is not there, or may not be read."""
    files = list[ListedFile]()
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # It went meanwhile.
                files.append(ListedFile(Path(entry.path), entry.stat(follow_symlinks=False)))
    return sorted(files, key=lambda file: file.path.name)


def _tree(top: ListedFile) -> tuple[float, int]:
    """When something in a directory was last changed, in seconds since 1970, and how many bytes it holds."""
    newest, size = top.status.st_mtime, 0
    for directory, _, files in os.walk(top.path):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            with contextlib.suppress(OSError):
                status = path.lstat()
                newest = max(newest, status.st_mtime)
                size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return newest, size


def _a_stack_runs() -> bool:
    """Whether any process of this user belongs to a stack or is a keeper's TorchServe, of this directory or another."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if MARK in process.environ():
                return True
    return False


def _delete(path: Path) -> None:
    """Deletes a file, or a directory with all that is in it; what another process was quicker with is gone too."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()

"""`fraud backup` and `fraud restore`: all durable state in one file, and back into an empty place.

A backup is read to its end and every byte verified before anything is written where it is to be restored. Then each
file is put there whole, in an order in which a reader finds no version before it is complete, and nothing live before
all is there. A restore that was cut short is finished by running it again.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

from operations.backups import backup_file
from operations.backups.backup_file import Item, Manifest
from operations.backups.backup_parts import PARTS, BackupPart, BackupSource, SourceFile
from operations.backups.storage import Storage
from operations.errors import OperationsError
from operations.files import durable, plain_file, scratch
from operations.settings import StatePaths

NAME = re.compile(r"fraud-backup-[0-9]{8}-[0-9]{6}-[0-9]{6}\.tar")
LOCKS = {".release.lock": "another release is running; try again", ".lock": "another process adds a model; try again"}
"""The release lock comes first, since it may take long: a process that adds a model gives up on its lock after 10 s."""
LOCK_TIMEOUT = 120.0
"""Seconds that a backup waits for a release to end."""
IGNORED_FILES = {"README.md"}
"""Files that an empty target may have beside hidden ones: a clone's model store has this page."""


class NothingToBackUp(OperationsError):
    """There is no state here."""


class ChangedFile(OperationsError):
    """A file that never changes did."""


class UnexpectedFile(OperationsError):
    """A backup holds what this program would not put into one."""


class TargetNotEmpty(OperationsError):
    """A restore would mix with existing files."""


@dataclass(frozen=True, slots=True)
class CreatedBackup:
    """A backup that was made.

    Attributes:
        location: its path or URL.
        deleted: names of the older backups that the retention rule removed.
    """

    location: str
    manifest: Manifest
    deleted: list[str]


def create(source: BackupSource, storage: Storage, keep: int) -> CreatedBackup:
    """Backs everything up, and then deletes all but the newest `keep` backups of that storage.

    Raises:
        OperationsError: something here is damaged, or the storage cannot be used; no older backup is deleted then.
    """
    with _file_errors(), scratch.directory() as temporary:
        file = Path(temporary) / "backup.tar"
        now = datetime.now(UTC)
        written = _write(file, now, _snapshot(source))
        backup_file.read(file)
        name = f"fraud-backup-{now:%Y%m%d-%H%M%S-%f}.tar"
        where = storage.put(file, name)
        return CreatedBackup(where, written, _delete_oldest(storage, keep, name))


def list_backups(storage: Storage) -> list[tuple[str, int]]:
    """The backups of a storage, oldest first, with their sizes."""
    with _file_errors():
        return sorted((name, size) for name, size in storage.sizes().items() if NAME.fullmatch(name))


def summary(manifest: Manifest) -> str:
    """What a backup holds, in words."""
    names = (re.fullmatch(r"model_store/fraud-([0-9]+)\.json", item.name) for item in manifest.items)
    versions = ", ".join(map(str, sorted(int(name[1]) for name in names if name))) or "none"
    return f"versions {versions}; {manifest.file_size / 1e6:.1f} MB, made {manifest.created}"


def restore(file: Path, paths: StatePaths) -> Manifest:
    """Puts a backup into an empty place.

    Raises:
        OperationsError: the backup is damaged or the place is taken; nothing was written.
    """
    with _file_errors(), scratch.directory() as temporary:
        manifest = backup_file.read(file, lambda item: _create_file(Path(temporary), item))
        destinations = {item: _destination(item, paths) for item in manifest.items}
        _refuse_occupied(destinations)
        paths.store.mkdir(parents=True, exist_ok=True)
        with _locked(paths.store):
            _refuse_occupied(destinations)
            for item, destination in destinations.items():
                destination.parent.mkdir(parents=True, exist_ok=True)
                durable.copy(Path(temporary) / item.name, destination)
    return manifest


def _snapshot(source: BackupSource) -> dict[str, SourceFile]:
    """What the parts hold at one moment, by name. Archives never change: they are read after the locks are let go."""
    if not source.paths.store.is_dir():
        raise NothingToBackUp(f"there is no model store at {source.paths.store}; `fraud train` makes one")
    with _locked(source.paths.store):
        return {f"{part.name}/{file.name}": file for part in PARTS for file in part.files(source)}


def _write(file: Path, now: datetime, snapshot: dict[str, SourceFile]) -> Manifest:
    items = tuple(_item(name, file) for name, file in snapshot.items())
    manifest = Manifest(now.isoformat(timespec="seconds"), items)
    backup_file.write(file, manifest, lambda item: _open(snapshot[item.name]))
    return manifest


def _item(name: str, source_file: SourceFile) -> Item:
    try:
        with _open(source_file) as file:
            item = Item(name, hashlib.file_digest(file, "sha256").hexdigest(), file.seek(0, os.SEEK_END))
    except ValueError as error:
        raise OperationsError(f"{error}; it cannot be backed up") from None
    if source_file.sha256 not in {None, item.sha256}:
        raise ChangedFile(f"{name} is not the archive that was registered; put it back from an older backup")
    return item


def _open(file: SourceFile) -> BufferedReader | BytesIO:
    return plain_file.open_plain(file.content) if isinstance(file.content, Path) else BytesIO(file.content)


def _delete_oldest(storage: Storage, keep: int, newest: str) -> list[str]:
    """Deletes the oldest by their names; never the one just made, whatever the clock says."""
    older = [name for name, _ in list_backups(storage) if name != newest]
    surplus = older[: max(0, len(older) + 1 - keep)]
    for name in surplus:
        storage.delete(name)
    return surplus


def _create_file(scratch: Path, item: Item) -> AbstractContextManager[BinaryIO]:
    _part(item)
    path = scratch / item.name
    path.parent.mkdir(exist_ok=True)
    return path.open("xb")


def _part(item: Item) -> BackupPart:
    name, _, file = item.name.partition("/")
    for part in PARTS:
        if part.name == name and part.names.fullmatch(file):
            return part
    raise UnexpectedFile(f"the backup holds {item.name}, which this release does not know; use the one that made it")


def _destination(item: Item, paths: StatePaths) -> Path:
    return _part(item).destination(paths) / item.name.partition("/")[2]


def _refuse_occupied(destinations: dict[Item, Path]) -> None:
    """Refuses a target that holds anything but files of this same backup, from a restore that was cut short."""
    backed_up = {destination: item for item, destination in destinations.items()}
    if all(_is(destination, item) for destination, item in backed_up.items()):
        raise TargetNotEmpty("this backup is restored here already")
    for directory in {destination.parent for destination in backed_up}:
        for path in directory.iterdir() if directory.exists() else ():
            known = path.name in IGNORED_FILES or path.name.startswith(".")
            if not known and not (path in backed_up and _is(path, backed_up[path])):
                raise TargetNotEmpty(
                    f"{path} is there already; restore into an empty place: fraud restore FILE --into DIR"
                )


def _is(path: Path, item: Item) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != item.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == item.sha256


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Holds the store's locks, so that no model is added and no release runs; waits for one that does."""
    with ExitStack() as stack:
        for name, refusal in LOCKS.items():
            stack.enter_context(durable.locked(store / name, refusal, LOCK_TIMEOUT))
        yield


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperationsError(f"{error.filename or 'the file system'}: {error.strerror}") from None

"""Whether what must last is whole: the live archive, room on the disks, the newest backup. A part of `fraud check`."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from operations.backups import backup, storage
from operations.jobs import job_checks
from operations.jobs.finding import Finding, fault, good, unknown
from operations.settings import StatePaths
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.text import formatting

LEAST_SHARE, LEAST_BYTES = 0.10, 1_000_000_000
"""Free room on a disk; less of either is a fault."""
OLDEST_BACKUP = timedelta(days=8)
"""A weekly backup may be a day late."""


def archive(store: Path) -> Iterator[Finding]:
    """Whether the archive of the live version is the one that was registered, and whether it is the one released.

    Raises:
        OperationsError: the record cannot be read, or the archive is not sound.
    """
    record = read_record(store)
    if record is None:
        yield unknown("the live archive (nothing is released yet)")
        return
    if record.instead_of is not None:
        since = _takeover(store, record.version)
        yield fault(f"version {record.version} took over from version {record.instead_of}, which is released{since}")
    Registry(store).verify(record.version)
    yield good(f"the archive of version {record.version}, which is live, is whole")


def disks(paths: Sequence[Path]) -> Iterator[Finding]:
    """Whether there is room where something is written; a disk that holds several paths is checked once."""
    devices = set[int]()
    for path in paths:
        if not path.is_dir():
            yield unknown(f"the disk under {path} (there is no such directory)")
        elif (device := path.stat().st_dev) not in devices:
            devices.add(device)
            yield _disk(path)


def backups(paths: StatePaths, store: Path, env: Mapping[str, str], now: datetime) -> Finding:
    """Whether the newest backup is new enough; a store that is as young needs none yet.

    Raises:
        OperationsError: the place of the backups cannot be read.
    """
    place = env.get("BACKUP_TO") or str(paths.root / "var" / "backups")
    names = [name for name, _ in backup.list_backups(storage.storage_for(place))]
    if not names:
        oldest = job_checks.oldest_version(store)
        is_due = oldest is not None and now.timestamp() - oldest > OLDEST_BACKUP.total_seconds()
        return fault(f"there is no backup in {place}") if is_due else unknown("the newest backup (none yet)")
    made = datetime.strptime(names[-1].removeprefix("fraud-backup-"), "%Y%m%d-%H%M%S-%f.tar").replace(tzinfo=UTC)
    text = f"the newest backup is {formatting.age(made.isoformat(), now)} old"
    return fault(f"{text}, in {place}") if now - made > OLDEST_BACKUP else good(text)


def _disk(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    text = f"{usage.free / 1e9:.1f} GB ({usage.free / usage.total:.0%}) of the disk under {path} are free"
    return fault(text) if usage.free < max(LEAST_BYTES, LEAST_SHARE * usage.total) else good(text)


def _takeover(store: Path, version: int) -> str:
    """When it took over, as far as the journal has it."""
    events = [each for each in journal.events(store) if each["event"] == "took_over" and each.get("version") == version]
    return f", at {events[-1]['at']}" if events else ""

"""Archives, disks and backups."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from operations.errors import OperationsError
from operations.jobs import inspections
from operations.jobs.inspections import CheckState, fault, good, unknown
from operations.settings import StatePaths
from operations.store import journal
from operations.store.registry import Registry
from releases.record import Release
from tests.operations.conftest import add

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def record(store: Path, release: Release) -> None:
    """Puts a record in place."""
    (store / "release.json").write_bytes(release.to_bytes())


def test_the_live_archive_is_verified(registry: Registry) -> None:
    """A whole one is well, a changed one is an error in the registry's words."""
    record(registry.root, Release(1, None, "2026-01-01T00:00:00+00:00"))
    assert list(inspections.archive(registry.root)) == [good("the archive of version 1, which is live, is whole")]
    (registry.root / "fraud-1.mar").write_bytes(b"other")
    with pytest.raises(OperationsError, match="is not the archive that was registered"):
        list(inspections.archive(registry.root))


def test_before_the_first_release_there_is_no_live_archive(registry: Registry) -> None:
    """That is no fault."""
    (finding,) = inspections.archive(registry.root)
    assert finding.state is CheckState.UNKNOWN


def test_a_takeover_that_is_in_force_is_a_fault(registry: Registry) -> None:
    """It is told until a person decides, with when it began, even where the archive is damaged."""
    record(registry.root, Release(1, None, "2026-01-01T00:00:00+00:00", instead_of=2))
    journal.note(registry.root, "took_over", version=1, instead_of=2)
    (at,) = [event["at"] for event in journal.events(registry.root)]
    (registry.root / "fraud-1.mar").write_bytes(b"other")
    findings = inspections.archive(registry.root)
    assert next(findings) == fault(f"version 1 took over from version 2, which is released, at {at}")


class Usage(NamedTuple):
    """What the system says of a disk."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("total", "free", "state"),
    [
        (100, 11, CheckState.GOOD),
        (100, 9, CheckState.FAULT),
        (9, 0.9, CheckState.FAULT),
        (5, 1.1, CheckState.GOOD),
        (5, 0.95, CheckState.FAULT),
        (1, 0.5, CheckState.FAULT),
    ],
)
def test_a_disk_needs_a_tenth_and_a_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: float, free: float, state: CheckState
) -> None:
    """Sizes in GB; less of either is a fault, which says how much there is."""
    usage = Usage(int(total * 1e9), 0, int(free * 1e9))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (finding,) = inspections.disks([tmp_path, tmp_path])
    assert finding.state is state
    assert f"{free:.1f} GB" in finding.text


def test_a_directory_that_is_not_there_has_no_disk(tmp_path: Path) -> None:
    """It is said and no fault."""
    assert list(inspections.disks([tmp_path / "x"])) == [
        unknown(f"the disk under {tmp_path / 'x'} (there is no such directory)")
    ]


@pytest.fixture
def make(paths: StatePaths) -> Callable[[timedelta], Path]:
    """Makes a backup of some age."""

    def made(age: timedelta) -> Path:
        place = paths.root / "var" / "backups"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"fraud-backup-{NOW - age:%Y%m%d-%H%M%S-%f}.tar"
        path.touch()
        return path

    return made


def test_a_backup_of_this_week_is_new_enough(paths: StatePaths, make: Callable[[timedelta], Path]) -> None:
    """The newest counts, by its name and not by its file's time."""
    make(timedelta(days=30))
    os.utime(make(timedelta(days=7, hours=20)), (0, 0))
    assert inspections.backups(paths, paths.store, {}, NOW) == good("the newest backup is 7 d old")


def test_a_backup_older_than_eight_days_is_a_fault(paths: StatePaths, make: Callable[[timedelta], Path]) -> None:
    """It says where it looked."""
    place = make(timedelta(days=8, minutes=1)).parent
    (place / "fraud-backup-20260310-000000-000000.tar.part").touch()
    assert inspections.backups(paths, paths.store, {}, NOW) == fault(f"the newest backup is 8 d old, in {place}")


def test_backups_may_be_elsewhere(paths: StatePaths, make: Callable[[timedelta], Path], tmp_path: Path) -> None:
    """BACKUP_TO is where they are looked for."""
    elsewhere = make(timedelta(days=1)).parent.rename(tmp_path / "elsewhere")
    assert inspections.backups(paths, paths.store, {"BACKUP_TO": str(elsewhere)}, NOW).state is CheckState.GOOD


def test_a_new_store_needs_no_backup_yet(paths: StatePaths) -> None:
    """Without any it is a fault only once the oldest version is older than a backup may be."""
    assert inspections.backups(paths, paths.store, {}, NOW) == unknown("the newest backup (none yet)")
    registry = Registry(paths.store)
    add(registry, paths.root, 1)
    created = datetime.fromisoformat(registry.entry(1).created)
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    for age, state in ((timedelta(days=7), CheckState.UNKNOWN), (timedelta(days=9), CheckState.FAULT)):
        assert inspections.backups(paths, paths.store, {}, created + age).state is state

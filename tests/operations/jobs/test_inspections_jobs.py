"""Whether jobs run when they are due, and end well."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from operations.files import durable
from operations.jobs import inspections, outcome, schedule
from operations.jobs.crontab import Job
from operations.jobs.inspections import CheckState, Finding, fault, good, unknown
from operations.jobs.outcome import JobOutcome
from operations.settings import StatePaths
from operations.store.registry import Registry
from tests.operations.conftest import add

BACKUP = Job("backup", "30 4 * * 0", ("backup",))
SUNDAY = datetime(2026, 3, 8, 4, 30, tzinfo=UTC)
"""When it was last due."""


def ran(paths: StatePaths, ended: datetime, exit_code: int = 0) -> None:
    """Writes an outcome down."""
    paths.jobs.mkdir(parents=True, exist_ok=True)
    text = outcome._text({"backup": JobOutcome(ended.timestamp(), exit_code, 1.0, None)})
    (paths.jobs / "backup.prom").write_bytes(text)


def began(paths: StatePaths, moment: datetime, since: datetime) -> None:
    """Writes down that a schedule began, and since when it has the job."""
    paths.jobs.mkdir(parents=True, exist_ok=True)
    text = f'{{"began": {moment.timestamp()}, "since": {{"backup": {since.timestamp()}}}}}'
    (paths.jobs / "schedule.json").write_text(text)
    assert schedule.load_state(paths)


def found(paths: StatePaths, now: datetime, *, are_run_elsewhere: bool = True) -> Finding:
    """The finding on the backup."""
    (finding,) = inspections.jobs([BACKUP], paths, now, are_run_elsewhere=are_run_elsewhere)
    return finding


def test_a_job_that_nobody_runs_here_is_not_missed(paths: StatePaths) -> None:
    """On a laptop without any schedule an old version alone makes no fault; where a platform runs the jobs it does."""
    trained(paths, 1, "2026-01-01T00:00:00+00:00")
    assert found(paths, SUNDAY, are_run_elsewhere=False).state is CheckState.UNKNOWN
    assert found(paths, SUNDAY).state is CheckState.FAULT


def test_a_job_that_ran_when_it_was_due_is_well(paths: StatePaths) -> None:
    """It says when."""
    ran(paths, SUNDAY + timedelta(minutes=2))
    assert found(paths, SUNDAY + timedelta(days=6)) == good("fraud backup ran at 2026-03-08 04:32 UTC")


def test_a_job_that_failed_is_a_fault(paths: StatePaths) -> None:
    """It says how and when."""
    ran(paths, SUNDAY, exit_code=3)
    expected = fault("fraud backup failed with exit code 3 at 2026-03-08 04:30 UTC")
    assert found(paths, SUNDAY + timedelta(minutes=1)) == expected


def test_a_job_may_be_an_hour_late(paths: StatePaths) -> None:
    """After that it is a fault that says since when it did not run."""
    ran(paths, SUNDAY - timedelta(days=7))
    assert found(paths, SUNDAY + timedelta(minutes=59)).state is CheckState.GOOD
    assert found(paths, SUNDAY + timedelta(minutes=61)) == fault(
        "fraud backup has not run since 2026-03-01 04:30 UTC, and was due at 2026-03-08 04:30 UTC"
    )


def test_a_schedule_that_has_just_begun_makes_up_first(paths: StatePaths) -> None:
    """What was missed while the machine was off is no fault for an hour."""
    ran(paths, SUNDAY - timedelta(days=7))
    start = SUNDAY + timedelta(days=2)
    began(paths, start, SUNDAY)
    assert found(paths, start + timedelta(minutes=30)).state is CheckState.GOOD
    assert found(paths, start + timedelta(minutes=61)).state is CheckState.FAULT


def test_a_job_that_never_ran_is_a_fault_only_where_it_was_due(paths: StatePaths) -> None:
    """Since when it counts is what the schedule wrote down; without one nothing is known."""
    now = SUNDAY + timedelta(days=1)
    assert found(paths, now) == unknown("fraud backup (no run yet)")
    began(paths, SUNDAY + timedelta(hours=2), SUNDAY + timedelta(hours=2))
    assert found(paths, now).state is CheckState.UNKNOWN
    began(paths, SUNDAY - timedelta(hours=2), SUNDAY - timedelta(hours=2))
    assert found(paths, now) == fault("fraud backup has never run, and was due at 2026-03-08 04:30 UTC")


def trained(paths: StatePaths, version: int, created: str) -> None:
    """Adds a version that was trained then."""
    add(Registry(paths.store), paths.root, version)
    entry = paths.store / f"fraud-{version}.json"
    entry.write_text(json.dumps(json.loads(entry.read_bytes()) | {"created": created}))
    assert Registry(paths.store).entry(version).created == created


def test_where_no_schedule_runs_a_job_counts_from_the_oldest_version(paths: StatePaths) -> None:
    """CronJobs that were never started are told of: they leave no memory that could say since when."""
    trained(paths, 1, "2026-03-08T05:00:00+00:00")
    assert found(paths, SUNDAY + timedelta(days=6)).state is CheckState.UNKNOWN
    trained(paths, 2, "2026-03-01T05:00:00")
    expected = fault("fraud backup has never run, and was due at 2026-03-08 04:30 UTC")
    assert found(paths, SUNDAY + timedelta(minutes=61)) == expected
    assert found(paths, SUNDAY + timedelta(minutes=59)).state is CheckState.UNKNOWN
    ran(paths, SUNDAY + timedelta(minutes=2))
    assert found(paths, SUNDAY + timedelta(minutes=61)).state is CheckState.GOOD


def test_a_version_without_a_time_says_nothing(paths: StatePaths) -> None:
    """Without any other it is not known since when a job counts."""
    trained(paths, 1, "yesterday")
    assert found(paths, SUNDAY + timedelta(days=6)).state is CheckState.UNKNOWN


@pytest.mark.parametrize(("hours", "state"), [(2, CheckState.GOOD), (25, CheckState.FAULT)])
def test_a_job_that_runs_is_well_for_a_day(paths: StatePaths, hours: int, state: CheckState) -> None:
    """However late it is, and however the one before it ended; after a day it hangs."""
    ran(paths, SUNDAY - timedelta(days=14), exit_code=1)
    lock = outcome.lock(paths, "backup")
    with durable.locked(lock, ""):
        os.utime(lock, (SUNDAY.timestamp(), SUNDAY.timestamp()))
        finding = found(paths, SUNDAY + timedelta(hours=hours))
    assert finding == Finding(state, "fraud backup runs since 2026-03-08 04:30 UTC")


def test_the_check_does_not_look_at_itself(paths: StatePaths) -> None:
    """Its failure of an hour ago would be its failure for ever."""
    check = Job("check", "7 * * * *", ("check",))
    outcome.record_outcome(paths, "check", 1, 1.0)
    assert list(inspections.jobs([check], paths, SUNDAY, are_run_elsewhere=True)) == []

"""Whether each scheduled job runs when it is due, and ends well. A part of `fraud check`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from operations.files.durable import LockHeld
from operations.jobs import outcome, schedule
from operations.jobs.crontab import Job
from operations.jobs.finding import Finding, fault, good, unknown
from operations.jobs.runner import refuse_if_running
from operations.jobs.schedule import ScheduleState, format_time
from operations.settings import StatePaths
from operations.store.registry import Registry

KILL_SECONDS = timedelta(hours=1)
"""A job that is due may wait for the machine to wake, or for a node in a cluster."""
LONGEST = timedelta(days=1)
"""A job that takes longer hangs."""
ITSELF = "check"
"""Its own last outcome is not looked at: one fault would be one for ever."""


def jobs(scheduled: Sequence[Job], paths: StatePaths, now: datetime, *, are_run_elsewhere: bool) -> Iterator[Finding]:
    """One finding for each job but `fraud check` itself.

    A job that never ran counts from when a schedule first had it here. Where something else runs the jobs (Kubernetes)
    it counts from the oldest version: before that there was nothing to do. Elsewhere nobody expects it.
    """
    state = schedule.load_state(paths)
    begin = oldest_version(paths.store) if are_run_elsewhere and not state else None
    for job in scheduled:
        if job.name != ITSELF:
            yield _running(job, paths, now) or _ended(job, paths, state, begin, now)


def oldest_version(store: Path) -> float | None:
    """When the oldest version was trained, in seconds since 1970; None where there is none with such a time."""
    created = [entry.created for entry in Registry(store).entries()]
    return min((moment for text in created if (moment := _seconds(text)) is not None), default=None)


def _running(job: Job, paths: StatePaths, now: datetime) -> Finding | None:
    """How a job does that runs at the moment; its lock was written when it began."""
    try:
        refuse_if_running(job, paths)
    except LockHeld:
        began = datetime.fromtimestamp(outcome.lock(paths, job.name).stat().st_mtime, UTC)
        text = f"fraud {job.name} runs since {format_time(began)}"
        return fault(text) if now - began > LONGEST else good(text)
    return None


def _ended(job: Job, paths: StatePaths, state: ScheduleState | None, begin: float | None, now: datetime) -> Finding:
    last, missed = outcome.last_outcome(paths, job.name), job.previous_time(now - KILL_SECONDS)
    since = last.ended if last else state.since.get(job.name) if state else begin
    if last and last.exit_code:
        return fault(f"fraud {job.name} failed with exit code {last.exit_code} at {format_time(_at(last.ended))}")
    if missed and since is not None and since < missed.timestamp() and not _is_starting_up(state, now):
        lately = f"not run since {format_time(_at(since))}" if last else "never run"
        return fault(f"fraud {job.name} has {lately}, and was due at {format_time(missed)}")
    return (
        good(f"fraud {job.name} ran at {format_time(_at(last.ended))}")
        if last
        else unknown(f"fraud {job.name} (no run yet)")
    )


def _is_starting_up(state: ScheduleState | None, now: datetime) -> bool:
    """Whether a schedule has begun here a moment ago: it makes up for what was missed before."""
    return state is not None and now - _at(state.began) < KILL_SECONDS


def _seconds(text: str) -> float | None:
    """A time as an entry has it, in UTC where it says nothing else; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""`fraud schedule` and `fraud keep --with-schedule`: run the jobs of the schedule at their times, for ever.

A job is due when one of its times has come since its last run. So a time that was missed, because the machine slept,
the container was down or the clock jumped, is made up for once, and never more than once; which run was the last one
is read at the start from what jobs write down. A job that never ran counts from when the schedule first had it.

    var/jobs/schedule.json    when this began to look, and since when each job is known
    var/jobs/schedule.beat    touched at each look, for `fraud schedule --healthy`
    var/jobs/schedule.lock    held: one schedule runs in a directory
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from operations.errors import OperationsError
from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs import runner as running
from operations.jobs.crontab import Job
from operations.jobs.runner import Write
from operations.processes.signals import stop_signals, wait_for_stop
from operations.settings import StatePaths

Clock = Callable[[], datetime]
Run = Callable[[Job, StatePaths, Write], Awaitable[int]]
TICK_SECONDS = 5.0
STALE_SECONDS = 60.0
"""Seconds without a tick after which the schedule counts as hung."""
MAX_GAP = timedelta(minutes=5)
"""Looks that are further apart mean that the machine slept or the clock was set: as if the schedule had just begun."""
STARTUP_DELAY = timedelta(minutes=2)
"""What was missed is made up for so long after the begin: the rest of the system may be starting too."""
MAX_CLOCK_SKEW = timedelta(hours=1)
"""A last run that is further in the future was dated by a clock that was wrong."""


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What outlives the schedule's process.

    Attributes:
        began: when it began to look, in seconds since 1970.
        since: from when on each job is known, by name, in seconds since 1970.
    """

    began: float
    since: Mapping[str, float] = field(default_factory=dict)


def due(jobs: Sequence[Job], since: Mapping[str, datetime], now: datetime) -> list[tuple[Job, datetime]]:
    """The jobs of which a time has come after their last run and until now, each once, with the newest such time.

    Args:
        jobs: the schedule.
        since: each job's last run, or from when on it counts, by name.
        now: UTC, as all times here.
    """
    times = [(job, job.previous_time(now)) for job in jobs]
    return [(job, moment) for job, moment in times if moment and moment > since[job.name]]


def clamp_future(since: Mapping[str, datetime], now: datetime) -> dict[str, datetime]:
    """The last runs, but now for one that lies far in the future: otherwise its job would not run for years."""
    return {name: now if moment - now > MAX_CLOCK_SKEW else moment for name, moment in since.items()}


def load_state(paths: StatePaths) -> ScheduleState | None:
    """What the schedule of this directory wrote down; None where none ever ran here."""
    try:
        fields = json.loads(_state_file(paths).read_bytes())
        state = ScheduleState(float(fields["began"]), {name: float(value) for name, value in fields["since"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    is_whole = all(0 <= moment <= outcome.MAX_TIMESTAMP for moment in (state.began, *state.since.values()))
    return state if is_whole else None


def healthy(paths: StatePaths) -> bool:
    """Whether the schedule of this directory has looked a moment ago."""
    try:
        return abs(time.time() - _heartbeat_file(paths).stat().st_mtime) < STALE_SECONDS
    except OSError:
        return False


def run(jobs: Sequence[Job], paths: StatePaths, say: Write) -> None:
    """Runs the schedule until SIGTERM, SIGINT or SIGHUP.

    Raises:
        OperationsError: one runs in this directory already.
    """
    with lock(paths):
        asyncio.run(_run_until_stopped(Schedule(jobs, paths, say)))


@contextlib.contextmanager
def lock(paths: StatePaths) -> Iterator[None]:
    """Holds the lock by which one schedule runs in a directory.

    Raises:
        LockHeld: one does already.
    """
    outcome.prepare(paths)
    refusal = f"a schedule runs in {paths.root} already; stop it first"
    with durable.locked(outcome.lock(paths, "schedule"), refusal):
        yield


class Schedule:
    """The jobs, and which of them run at the moment."""

    def __init__(
        self,
        jobs: Sequence[Job],
        paths: StatePaths,
        say: Write,
        *,
        clock: Clock = lambda: datetime.now(UTC),
        runner: Run = running.run,
    ) -> None:
        """Starts nothing yet."""
        self._jobs = jobs
        self._paths = paths
        self._write_output = say
        self._clock = clock
        self._runner = runner
        self._last_runs = dict[str, datetime]()
        self._started_at: datetime | None = None
        self._last_tick: datetime | None = None
        self._tasks = dict[str, asyncio.Task[None]]()

    async def run_forever(self) -> None:
        """Looks again and again; when cancelled, it ends the jobs that run."""
        try:
            while True:
                self.tick()
                await asyncio.sleep(TICK_SECONDS)
        finally:
            await self._end_jobs()

    def tick(self) -> None:
        """Starts what is due."""
        now = self._clock()
        if self._last_tick is None or abs(now - self._last_tick) > MAX_GAP:
            self._load_last_runs(now)
        self._last_tick = now
        for job, moment in self._due_jobs(now):
            self._last_runs[job.name] = now
            self._start(job, moment)
        with contextlib.suppress(OSError):
            _heartbeat_file(self._paths).touch()

    def _due_jobs(self, now: datetime) -> list[tuple[Job, datetime]]:
        """What is due, without what was missed while the system may still be starting."""
        began = self._started_at or now
        self._last_runs = clamp_future(self._last_runs, now)
        is_started_up = now - began >= STARTUP_DELAY
        return [
            (job, moment) for job, moment in due(self._jobs, self._last_runs, now) if is_started_up or moment >= began
        ]

    def _load_last_runs(self, now: datetime) -> None:
        """Finds out what ran last and when: at the start, and after the machine was away."""
        self._started_at = now
        before, seconds = load_state(self._paths), now.timestamp()
        since = before.since if before else {}  # A job that is new counts from now on.
        state = ScheduleState(seconds, {job.name: min(since.get(job.name, seconds), seconds) for job in self._jobs})
        with contextlib.suppress(OSError):
            outcome.prepare(self._paths)
            durable.write(_state_file(self._paths), json.dumps(asdict(state)).encode())
        for job in self._jobs:
            last, last_seen = outcome.last_outcome(self._paths, job.name), self._last_runs.get(job.name)
            known = [datetime.fromtimestamp(last.ended, UTC)] if last else []
            known += [last_seen] if last_seen else []
            self._last_runs[job.name] = max(known, default=datetime.fromtimestamp(state.since[job.name], UTC))
        self._last_runs = clamp_future(self._last_runs, now)
        self._log_plan(now)

    def _log_plan(self, now: datetime) -> None:
        missed = {job.name for job, _ in due(self._jobs, self._last_runs, now)}
        make_up = f", and once in {STARTUP_DELAY.seconds // 60} min for what was missed"
        for job in self._jobs:
            self._write_line(
                f"{job.name} is due {format_time(job.next_time(now))}{make_up if job.name in missed else ''}"
            )

    def _start(self, job: Job, moment: datetime) -> None:
        if job.name in self._tasks:
            self._write_line(f"{job.name} was due {format_time(moment)} and still runs: this time is skipped")
            return
        self._write_line(f"{job.name} starts (due {format_time(moment)})")
        self._tasks[job.name] = asyncio.create_task(self._run(job))

    async def _run(self, job: Job) -> None:
        began = time.monotonic()
        try:
            code = await self._runner(job, self._paths, lambda line: self._write_line(f"{job.name}: {line}"))
            self._write_line(f"{job.name} ended with exit code {code} after {time.monotonic() - began:.0f} s")
        except LockHeld as busy:
            self._write_line(f"{busy}: this time is skipped")
        except Exception as error:  # noqa: BLE001 - no job may end the schedule
            why = str(error) if isinstance(error, OperationsError) else type(error).__name__
            self._write_line(f"{job.name} could not be run: {why}")
        finally:
            del self._tasks[job.name]

    def _write_line(self, text: str) -> None:
        """Says it; the output may be gone, and that must stop nothing (rich makes a broken pipe a SystemExit)."""
        with contextlib.suppress(OSError, ValueError, SystemExit):
            self._write_output(text)

    async def _end_jobs(self) -> None:
        with contextlib.suppress(OSError):
            _heartbeat_file(self._paths).unlink(missing_ok=True)
        tasks = list(self._tasks.values())
        for name in self._tasks:
            self._write_line(f"{name} is told to end")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run_until_stopped(schedule: Schedule) -> None:
    running = asyncio.create_task(schedule.run_forever())

    def kill_jobs() -> None:
        running.cancel()  # A second time, while it waits for the jobs to end: then they are killed.

    async with stop_signals(kill_jobs) as stop:
        try:
            await wait_for_stop(stop, {running})
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def format_time(moment: datetime | None) -> str:
    """A time as the jobs print it, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def _state_file(paths: StatePaths) -> Path:
    return paths.jobs / "schedule.json"


def _heartbeat_file(paths: StatePaths) -> Path:
    return paths.jobs / "schedule.beat"

"""When jobs run: on a clock that the tests move, and once as the real process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs import schedule as module
from operations.jobs.crontab import Job
from operations.jobs.runner import Write
from operations.jobs.schedule import (
    MAX_CLOCK_SKEW,
    STARTUP_DELAY,
    Schedule,
    ScheduleState,
    clamp_future,
    due,
    healthy,
    load_state,
)
from operations.settings import StatePaths
from tests.timeouts import WAIT_SECONDS

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
WEEKLY = Job("retrain", "0 3 * * 0", ("retrain",))
HOURLY = Job("check", "7 * * * *", ("check",))
MINUTELY = Job("clean", "* * * * *", ("clean",))
JOBS = (WEEKLY, HOURLY, MINUTELY)


def minutes(count: float) -> timedelta:
    """So many."""
    return timedelta(minutes=count)


steps = st.lists(
    st.timedeltas(timedelta(0), timedelta(days=20)) | st.timedeltas(timedelta(0), minutes(2)), min_size=1, max_size=30
)


@given(steps)
def test_no_time_is_served_twice_and_none_is_lost(gaps: list[timedelta]) -> None:
    """However the looks are spread, a job runs at a look if, and only if, one of its times came since its last run."""
    now, since = SUNDAY, dict.fromkeys((job.name for job in JOBS), SUNDAY)
    for gap in gaps:
        now += gap
        runs = {job.name for job, _ in due(JOBS, since, now)}
        for job in JOBS:
            following = job.next_time(since[job.name])
            assert following is not None
            assert (job.name in runs) == (following <= now)
        since |= dict.fromkeys(runs, now)
        assert not due(JOBS, since, now)


@given(st.integers(1, 300), st.integers(0, 59))
def test_dense_looks_serve_each_time_once(count: int, second: int) -> None:
    """A look a minute, wherever in the minute, runs a job of each minute each minute."""
    now, since, runs = SUNDAY + timedelta(seconds=second), {"clean": SUNDAY}, 0
    for _ in range(count):
        now += minutes(1)
        found = due([MINUTELY], since, now)
        runs += len(found)
        since |= {job.name: now for job, _ in found}
    assert runs == count


@given(st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_no_last_run_keeps_a_job_from_running(last: datetime) -> None:
    """Whatever a wrong clock has written, the weekly job runs within eight days of looks."""
    now, since = SUNDAY, {"retrain": last}
    runs = 0
    for _ in range(8 * 24):
        now += timedelta(hours=1)
        since = clamp_future(since, now)
        found = due([WEEKLY], since, now)
        runs += len(found)
        since |= {job.name: now for job, _ in found}
    assert 1 <= runs <= 3


def test_a_small_step_back_of_the_clock_serves_nothing_again() -> None:
    """A clock that is set back by seconds just after a job began does not start it twice."""
    at = SUNDAY.replace(hour=3)
    since = clamp_future({"retrain": at + timedelta(seconds=1)}, at - timedelta(seconds=2))
    assert not due([WEEKLY], since, at)
    assert since["retrain"] - at < MAX_CLOCK_SKEW


@dataclass
class Rounds:
    """A schedule on a clock that stands still until it is moved, with jobs that run until they are let go."""

    paths: StatePaths
    jobs: tuple[Job, ...] = JOBS
    now: datetime = SUNDAY
    started: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    held: asyncio.Event | None = None
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.schedule = self.anew()

    def anew(self) -> Schedule:
        """Another process in the same directory."""
        self.schedule = Schedule(self.jobs, self.paths, self.message.append, clock=lambda: self.now, runner=self.run)
        return self.schedule

    async def run(self, job: Job, paths: StatePaths, write: Write) -> int:
        self.started.append(job.name)
        if self.error:
            raise self.error
        write("works")
        if self.held:
            await self.held.wait()
        return 0

    async def tick(self, after: timedelta = timedelta(0)) -> list[str]:
        """What one look starts, so much later."""
        self.now += after
        before = len(self.started)
        self.schedule.tick()
        for _ in range(3):
            await asyncio.sleep(0)
        return self.started[before:]

    async def looks(self, until: datetime) -> list[str]:
        """What a look each minute starts until then."""
        began = len(self.started)
        while self.now < until:
            await self.tick(minutes(1))
        return self.started[began:]


def test_nothing_runs_at_the_first_start(paths: StatePaths) -> None:
    """In a new directory each job waits for its time, however long ago the last one was."""

    async def scene() -> None:
        ticks = Rounds(paths, now=SUNDAY.replace(hour=12, second=30))
        assert await ticks.tick() == []
        assert await ticks.tick(STARTUP_DELAY) == ["clean"]
        assert "retrain is due 2026-03-08 03:00 UTC" in ticks.message

    asyncio.run(scene())


def test_jobs_run_at_their_times(paths: StatePaths) -> None:
    """An hourly job runs each hour, a weekly one on its day."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(WEEKLY, HOURLY))
        started = await ticks.looks(SUNDAY + timedelta(hours=5, minutes=30))
        assert started == ["check"] * 3 + ["retrain"] + ["check"] * 3
        assert "retrain: works" in ticks.message
        assert "retrain ended with exit code 0 after 0 s" in ticks.message

    asyncio.run(scene())


@pytest.mark.parametrize("asleep", [timedelta(minutes=30), timedelta(hours=30), timedelta(days=30)])
def test_a_machine_that_slept_makes_up_once(paths: StatePaths, asleep: timedelta) -> None:
    """What came while it slept is run once, when the system had time to wake, and then as ever."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(HOURLY,), now=SUNDAY.replace(minute=1))
        await ticks.tick()
        assert await ticks.tick(asleep) == []
        assert await ticks.tick(minutes(1)) == []
        assert await ticks.tick(minutes(1)) == ["check"]
        assert await ticks.looks(ticks.now + minutes(3)) == []

    asyncio.run(scene())


def test_a_container_that_was_down_makes_up_once(paths: StatePaths) -> None:
    """A job whose last run is older than its last time runs within minutes of the start."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(WEEKLY,), now=datetime.now(UTC))
        outcome.record_outcome(paths, "retrain", 0, 1.0)  # Now, on the real clock.
        assert await ticks.looks(ticks.now + minutes(10)) == []
        ticks.now += timedelta(days=7)
        ticks.anew()
        assert await ticks.looks(ticks.now + minutes(10)) == ["retrain"]
        assert any(line.endswith("and once in 2 min for what was missed") for line in ticks.message)

    asyncio.run(scene())


def test_a_machine_that_is_off_each_night_runs_its_jobs(paths: StatePaths) -> None:
    """A job that never ran counts from when the schedule first had it."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(WEEKLY,), now=SUNDAY + timedelta(days=1))
        assert await ticks.tick() == []
        ticks.now = SUNDAY + timedelta(days=8)
        ticks.anew()
        assert await ticks.looks(ticks.now + minutes(5)) == ["retrain"]

    asyncio.run(scene())


def test_a_time_during_the_start_is_not_late(paths: StatePaths) -> None:
    """A job that becomes due a moment after the start runs at its time."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(HOURLY,), now=SUNDAY.replace(minute=6, second=30))
        assert await ticks.tick() == []
        assert await ticks.tick(timedelta(seconds=31)) == ["check"]

    asyncio.run(scene())


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400), timedelta(hours=-2)])
def test_a_clock_that_jumps_runs_nothing_many_times(paths: StatePaths, jump: timedelta) -> None:
    """At most once for the jump, and then each hour."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(HOURLY,), now=SUNDAY.replace(minute=30))
        await ticks.tick()
        ticks.now += jump
        assert len(await ticks.looks(ticks.now + minutes(30))) <= 1
        assert len(await ticks.looks(ticks.now + timedelta(hours=5))) == 5

    asyncio.run(scene())


def test_a_job_that_still_runs_is_skipped_and_that_is_said(paths: StatePaths) -> None:
    """It is not started beside itself, nor later for the time that it missed."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(MINUTELY,), held=asyncio.Event())
        assert ticks.held
        await ticks.tick()
        assert await ticks.tick(minutes(1)) == ["clean"]
        assert await ticks.tick(minutes(1)) == []
        assert "clean was due 2026-03-01 00:02 UTC and still runs: this time is skipped" in ticks.message
        ticks.held.set()
        assert await ticks.tick() == []
        assert await ticks.tick(minutes(1)) == ["clean"]

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            LockHeld("fraud clean runs already (process 7)"),
            "fraud clean runs already (process 7): this time is skipped",
        ),
        (ZeroDivisionError("4111"), "clean could not be run: ZeroDivisionError"),
    ],
)
def test_no_job_ends_the_schedule(paths: StatePaths, error: Exception, line: str) -> None:
    """What keeps one from running is a line, and its next time comes."""

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(MINUTELY,), error=error)
        await ticks.tick()
        assert await ticks.tick(minutes(1)) == ["clean"]
        assert line in ticks.message
        assert await ticks.tick(minutes(1)) == ["clean"]

    asyncio.run(scene())


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed file"), SystemExit(1)])
def test_an_output_that_is_gone_does_not_end_the_schedule(paths: StatePaths, error: BaseException) -> None:
    """Jobs run where nobody reads what they say."""

    def say(_: str) -> None:
        raise error

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(MINUTELY,))
        ticks.schedule = Schedule(ticks.jobs, paths, say, clock=lambda: ticks.now, runner=ticks.run)
        await ticks.tick()
        assert await ticks.tick(minutes(1)) == ["clean"]
        assert await ticks.tick(minutes(1)) == ["clean"]

    asyncio.run(scene())


def test_a_directory_that_cannot_be_written_does_not_end_the_schedule(paths: StatePaths) -> None:
    """Jobs run where nothing can be remembered."""
    (paths.root / "var").touch()

    async def scene() -> None:
        ticks = Rounds(paths, jobs=(MINUTELY,))
        await ticks.tick()
        assert await ticks.tick(minutes(1)) == ["clean"]
        assert not healthy(paths)

    asyncio.run(scene())


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"began": "x", "since": {}}', b'{"began": 1e400, "since": {}}', b'{"began": 1, "since": []}'],
)
def test_a_damaged_memory_is_none(paths: StatePaths, content: bytes) -> None:
    """It is as if the schedule had never run here, and is written again."""
    paths.jobs.mkdir(parents=True)
    (paths.jobs / "schedule.json").write_bytes(content)
    assert load_state(paths) is None

    async def scene() -> None:
        await Rounds(paths).tick()

    asyncio.run(scene())
    assert load_state(paths) == ScheduleState(SUNDAY.timestamp(), {job.name: SUNDAY.timestamp() for job in JOBS})


def test_it_is_healthy_while_it_looks(paths: StatePaths) -> None:
    """The beat is of this look; one of long ago, or none, is not healthy."""
    assert not healthy(paths)

    async def scene() -> None:
        await Rounds(paths).tick()

    asyncio.run(scene())
    assert healthy(paths)
    beat = paths.jobs / "schedule.beat"
    os.utime(beat, (time.time() - 100, time.time() - 100))
    assert not healthy(paths)


PROCESS = """
import sys
from datetime import timedelta
from pathlib import Path
from operations.jobs import crontab, schedule
from operations.settings import StatePaths

from tests.timeouts import WAIT_SECONDS
root = Path.cwd()
paths = StatePaths(root, root / "model_store")
schedule.TICK_SECONDS, schedule.STARTUP_DELAY = 0.05, timedelta(0)
schedule.run(crontab.read(root / "crontab"), paths, lambda text: print(text, flush=True))
"""


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_real_process_ends_its_jobs_and_itself(paths: StatePaths) -> None:
    """It makes up for a job that was missed, and SIGTERM ends that and the schedule in under 10 s, with exit code 0."""
    paths.store.mkdir()
    paths.jobs.mkdir(parents=True)
    (paths.root / "crontab").write_text("* * * * * fraud backup create\n")
    past = time.time() - 7200
    state = f'{{"began": {past}, "since": {{"backup": {past}}}}}'
    (paths.jobs / "schedule.json").write_text(state)
    command = [sys.executable, "-c", PROCESS]
    log = paths.root / "output"
    with (
        durable.locked(paths.store / ".release.lock", ""),  # The backup waits for it.
        log.open("wb") as output,
        subprocess.Popen(command, cwd=paths.root, stdout=output, stderr=output) as process,
    ):
        try:
            _until(lambda: _job_runs(process.pid) and healthy(paths))
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_SECONDS) == 0
        finally:
            process.kill()
    message = log.read_text()
    assert "backup starts (due " in message
    assert "backup is told to end" in message
    assert not healthy(paths)
    last = outcome.last_outcome(paths, "backup")
    assert last is not None
    assert last.exit_code == 143, message


def _job_runs(schedule: int) -> bool:
    """Whether the job's process is past parent_death.py, which it was before."""
    children = psutil.Process(schedule).children()
    return any(child.cmdline()[1:3] == ["-m", "operations"] for child in children)


def test_one_schedule_runs_in_a_directory(paths: StatePaths) -> None:
    """A second one says so and does nothing."""
    paths.jobs.mkdir(parents=True)
    lock = outcome.lock(paths, "schedule")
    with durable.locked(lock, ""), pytest.raises(LockHeld, match="a schedule runs in"):
        module.run(JOBS, paths, lambda _: None)

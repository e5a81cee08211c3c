"""Jobs as processes of their own: real `fraud` commands."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs.crontab import Job
from operations.jobs.outcome import JobOutcome
from operations.jobs.runner import LONGEST_LINE, _forward_lines, refuse_if_running, run
from operations.settings import StatePaths
from tests.operations.jobs.receiver import Receiver
from tests.timeouts import WAIT_SECONDS

MODELS = Job("models", "* * * * *", ("models",))
ENDLESS = Job("backup", "* * * * *", ("backup", "create"))
"""In these tests it waits for a lock that the test holds."""


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def last(paths: StatePaths, job: Job) -> JobOutcome:
    """The outcome that must be there."""
    found = outcome.last_outcome(paths, job.name)
    assert found is not None
    return found


def _nobody(_: str) -> None:
    """Whom nothing is said to."""


def children() -> list[psutil.Process]:
    """The jobs that this process has started and that run still; other tests of it may have left other processes."""
    return [child for child in psutil.Process().children() if _is_job(child)]


def _is_job(child: psutil.Process) -> bool:
    try:
        return child.status() != psutil.STATUS_ZOMBIE and "operations" in child.cmdline()
    except psutil.NoSuchProcess:
        return False


def test_a_job_runs_and_its_output_is_passed_on(paths: StatePaths) -> None:
    """Its lines come as they are, its exit code is given, and its outcome written down."""
    message = list[str]()
    assert asyncio.run(run(MODELS, paths, message.append)) == 0
    assert message == [f"no versions in {paths.store}; `fraud train` makes one"]
    assert last(paths, MODELS).exit_code == 0


def test_a_command_that_fails_early_has_an_outcome(paths: StatePaths, receiver: Receiver) -> None:
    """What a command cannot write down itself, since its options are wrong, is written down for it, and told."""
    message = list[str]()
    job = Job("models", "* * * * *", ("models", "--nonsense"))
    assert asyncio.run(run(job, paths, message.append)) == 2
    assert any("--nonsense" in line for line in message)
    assert last(paths, job).exit_code == 2
    assert receiver.posted == [{"text": "fraud models failed: exit code 2"}]


def test_a_job_that_is_killed_has_an_outcome(paths: StatePaths, receiver: Receiver) -> None:
    """A kill by the kernel is 137, as a shell has it."""

    async def killed() -> int:
        task = asyncio.create_task(run(MODELS, paths, _nobody))
        await until(lambda: bool(children()))
        os.kill(children()[0].pid, signal.SIGKILL)
        return await task

    assert asyncio.run(killed()) == 137
    assert last(paths, MODELS).exit_code == 137
    assert receiver.posted == [{"text": "fraud models failed: exit code 137"}]


def test_a_process_that_cannot_be_started_is_a_failure(paths: StatePaths) -> None:
    """Where the directory is gone, the reason is a line and the exit code 126."""
    message = list[str]()
    gone = StatePaths(paths.root / "gone", paths.store)

    async def started() -> int:
        gone.root.mkdir()
        refuse_if_running(MODELS, gone)
        (gone.root / "var" / "jobs" / "models.lock").unlink()
        (gone.root / "var" / "jobs").rmdir()
        (gone.root / "var").rmdir()
        gone.root.rmdir()
        gone.root.touch()
        return await run(MODELS, gone, message.append)

    assert asyncio.run(started()) == 126
    assert message[0].startswith("fraud models cannot be started: ")


def test_a_job_that_is_cancelled_ends_first(paths: StatePaths) -> None:
    """Its process is gone when the cancellation returns, and its end is written down."""
    paths.store.mkdir()

    async def cancelled() -> None:
        with durable.locked(paths.store / ".release.lock", ""):  # A backup waits for it, for minutes.
            task = asyncio.create_task(run(ENDLESS, paths, _nobody))
            await until(lambda: any("operations" in child.cmdline() for child in children()))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert task.cancelled()

    asyncio.run(cancelled())
    assert not children()
    assert last(paths, ENDLESS).exit_code in {143, 137}


def test_the_same_job_is_refused_while_it_runs(paths: StatePaths) -> None:
    """A second start in the same process is refused before anything is started."""

    async def twice() -> None:
        first = asyncio.create_task(run(MODELS, paths, _nobody))
        await until(lambda: bool(children()))
        with pytest.raises(LockHeld, match="fraud models runs already"):
            await run(MODELS, paths, _nobody)
        with pytest.raises(LockHeld):
            refuse_if_running(MODELS, paths)
        assert await first == 0
        assert await run(MODELS, paths, _nobody) == 0

    asyncio.run(twice())


def test_a_job_that_a_person_runs_is_not_started(paths: StatePaths) -> None:
    """Who holds the lock is named; nothing is written down."""
    paths.jobs.mkdir(parents=True)
    with durable.locked(outcome.lock(paths, "models"), ""), pytest.raises(LockHeld, match=f"process {os.getpid()}"):
        asyncio.run(run(MODELS, paths, _nobody))
    assert outcome.last_outcome(paths, "models") is None


def test_other_jobs_do_not_wait(paths: StatePaths) -> None:
    """Jobs of other names run at the same time."""

    async def both() -> tuple[int, int]:
        other = Job("rollback", "* * * * *", ("rollback",))
        first, second = await asyncio.gather(run(MODELS, paths, _nobody), run(other, paths, _nobody))
        return first, second

    assert asyncio.run(both()) == (0, 1)


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"o", b"ne\r\n\nt", b"wo"], ["one", "", "two"]),
        ([b"\xc3", b"\xa9\n", b"\xff\n"], ["é", "\ufffd"]),
        ([b"x" * (2 * LONGEST_LINE + 1), b"y\n"], ["x" * LONGEST_LINE, "x" * LONGEST_LINE, "xy"]),
        ([], []),
    ],
)
def test_output_is_passed_on_by_lines(chunks: list[bytes], lines: list[str]) -> None:
    """However it arrives, whatever it holds, and however long a line is."""

    async def passed() -> list[str]:
        stream, message = asyncio.StreamReader(), list[str]()
        reading = asyncio.create_task(_forward_lines(stream, message.append))
        for chunk in chunks:
            stream.feed_data(chunk)
            await asyncio.sleep(0)
        stream.feed_eof()
        await reading
        return message

    assert asyncio.run(passed()) == lines

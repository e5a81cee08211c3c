"""Supervision, with real processes: small Python programs in a private directory."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from operations.errors import OperationsError
from operations.processes import parent_death
from operations.processes.supervisor import ManagedProcess, Program, rotate
from tests.timeouts import WAIT_SECONDS

WITH_CHILD = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"


def program(directory: Path, code: str, kill_seconds: float = 4.0) -> Program:
    """A program that runs this Python code."""
    return Program(
        "toy",
        (sys.executable, "-S", "-c", code),
        os.environ,
        directory,
        directory / "toy.log",
        kill_seconds=kill_seconds,
    )


@contextlib.asynccontextmanager
async def managed(directory: Path, code: str, kill_seconds: float = 4.0) -> AsyncIterator[ManagedProcess]:
    """A program that is supervised while the block runs."""
    it = ManagedProcess(program(directory, code, kill_seconds), {"MARK": "ours"})
    it.start()
    try:
        yield it
    finally:
        await it.stop()


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


def lines(directory: Path) -> list[str]:
    """The lines that the program has written whole: with PYTHONUNBUFFERED a line's end is a write of its own."""
    log = directory / "toy.log"
    text = log.read_text() if log.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    """A program that exits runs again, and its output goes to one file."""

    async def scenario() -> None:
        async with managed(tmp_path, "print('hello')"):
            await until(lambda: lines(tmp_path) == ["hello"] * 2)

    asyncio.run(scenario())


def ends(it: Program) -> None:
    """Keeps a program until that ends with an error, which it raises."""

    async def scenario() -> None:
        managed = ManagedProcess(it, {})
        try:
            await asyncio.wait_for(asyncio.shield(managed.start()), WAIT_SECONDS)
        finally:
            await managed.stop()

    asyncio.run(scenario())


def refuse() -> None:
    """A preparation that fails."""
    raise OperationsError("set TMPDIR")


def test_a_program_carries_the_mark(tmp_path: Path) -> None:
    """What is started holds the mark of its stack in its environment."""

    async def scenario() -> None:
        async with managed(tmp_path, "import os; print(os.environ['MARK'])"):
            await until(lambda: lines(tmp_path)[:1] == ["ours"])

    asyncio.run(scenario())


def test_a_first_preparation_that_fails_ends_it(tmp_path: Path) -> None:
    """What fails before the first start is raised, not tried for ever."""
    with pytest.raises(OperationsError, match="TMPDIR"):
        ends(replace(program(tmp_path, ""), prepare=refuse))


def test_a_later_preparation_that_fails_is_tried_again(tmp_path: Path, log_lines: list[str]) -> None:
    """Once it has run, a preparation that fails is reported, and the program is tried again."""
    outcomes = iter([None, OperationsError("no room"), OSError(28, "No space left on device", "x"), None])

    def prepare() -> None:
        if outcome := next(outcomes, None):
            raise outcome

    async def scenario() -> None:
        it = ManagedProcess(replace(program(tmp_path, "print('hello')"), prepare=prepare), {})
        it.start()
        await until(lambda: lines(tmp_path))
        await it.stop()

    asyncio.run(scenario())
    assert log_lines[:2] == [
        "toy could not be run (no room); starting it again in 0.1 s",
        "toy could not be run (x: No space left on device); starting it again in 0.3 s",
    ]


def test_a_log_that_cannot_be_written_does_not_end_it(tmp_path: Path, log_lines: list[str]) -> None:
    """Where the log cannot be opened that is reported, and the program is tried again."""

    async def scenario() -> None:
        it = ManagedProcess(replace(program(tmp_path, "print('hello')"), log=tmp_path / "logs" / "toy.log"), {})
        it.start()
        await until(lambda: log_lines)
        (tmp_path / "logs").mkdir()
        await until((tmp_path / "logs" / "toy.log").exists)
        await it.stop()

    asyncio.run(scenario())
    assert "could not be run" in log_lines[0]


def test_a_wrong_configuration_ends_it_in_the_programs_own_words(tmp_path: Path) -> None:
    """A program that ends with EX_CONFIG is not started again; its last lines are the error."""
    with pytest.raises(OperationsError, match=r"\AREDIS_URL: wrong\nPORT: wrong\Z"):
        ends(program(tmp_path, "print('REDIS_URL: wrong\\nPORT: wrong'); raise SystemExit(78)"))


def test_a_report_names_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]) -> None:
    """A program that ends is reported with its exit code and the log that says why."""
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        it = ManagedProcess(program(tmp_path, "raise SystemExit(1)"), {})
        it.start()
        await until(lambda: log_lines)
        await it.stop()

    asyncio.run(scenario())
    assert log_lines[0] == "toy ended (exit code 1), toy.log says why; starting it again in 0.1 s"


def test_what_a_killed_leader_leaves_is_killed(tmp_path: Path) -> None:
    """When a leader dies by kill -9, its children are killed before it runs again."""

    async def scenario() -> None:
        async with managed(tmp_path, WITH_CHILD) as it:
            await until(lambda: lines(tmp_path))
            assert it.pid
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: len(lines(tmp_path)) > 1)
            assert not runs(int(lines(tmp_path)[0]))

    asyncio.run(scenario())


def test_stopping_ends_the_whole_group(tmp_path: Path) -> None:
    """Stopping ends the program and its children."""

    async def scenario() -> None:
        async with managed(tmp_path, WITH_CHILD) as it:
            await until(lambda: lines(tmp_path))
            leader = it.pid
        assert leader
        assert not runs(leader)
        await until(lambda: not runs(int(lines(tmp_path)[0])))

    asyncio.run(scenario())


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace period a stubborn program is killed."""

    async def scenario() -> None:
        async with managed(tmp_path, STUBBORN, kill_seconds=0.1) as it:
            await until(lambda: lines(tmp_path))
            leader = it.pid
        assert leader
        assert not runs(leader)

    asyncio.run(scenario())


def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    """A second request to stop does not wait for the grace period."""

    async def scenario() -> None:
        async with managed(tmp_path, STUBBORN, kill_seconds=60.0) as it:
            await until(lambda: lines(tmp_path))
            it.terminate()
            await asyncio.sleep(0)  # The first request begins to wait,
            it.terminate()
            await it.stop()  # and the second ends that.

    asyncio.run(asyncio.wait_for(scenario(), WAIT_SECONDS))


def test_a_program_ends_with_its_starter(tmp_path: Path) -> None:
    """On Linux a program is told to end when the one that started it is killed with -9."""
    inner = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    outer = (
        "import os, subprocess, sys; subprocess.run([sys.executable, '-I', '-S', "
        f"{parent_death.__file__!r}, str(os.getpid()), sys.executable, '-S', '-c', {inner!r}])"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", outer], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        starter.kill()
    asyncio.run(until(lambda: not runs(pid)))


def test_old_logs_are_kept_and_the_oldest_dropped(tmp_path: Path) -> None:
    """Rotating keeps three old logs, the newest as .1."""
    log = tmp_path / "toy.log"
    for number in range(5):
        log.write_text(str(number))
        rotate(log)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "toy.log.1": "4",
        "toy.log.2": "3",
        "toy.log.3": "2",
    }

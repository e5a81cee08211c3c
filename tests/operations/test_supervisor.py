"""Supervision, with real processes: small Python programs in a private directory."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil

from operations import tether
from operations.ledger import Ledger
from operations.supervisor import Kept, Program, rotate

PATIENCE = 20.0
WITH_CHILD = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"


def program(directory: Path, code: str, grace: float = 4.0) -> Program:
    """A program that runs this Python code."""
    return Program("toy", (sys.executable, "-S", "-c", code), os.environ, directory, directory / "toy.log", grace=grace)


@contextlib.asynccontextmanager
async def kept(directory: Path, code: str, grace: float = 4.0) -> AsyncIterator[Kept]:
    """A program that is kept while the block runs."""
    it = Kept(program(directory, code, grace), Ledger(directory / "ledger.json"), lambda _: None)
    it.start()
    try:
        yield it
    finally:
        await it.stop()


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.01)


def lines(directory: Path) -> list[str]:
    """What the program has written."""
    log = directory / "toy.log"
    return log.read_text().splitlines() if log.exists() else []


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    """A program that exits runs again, and its output goes to one file."""

    async def scenario() -> None:
        async with kept(tmp_path, "print('hello')"):
            await until(lambda: lines(tmp_path) == ["hello"] * 2)

    asyncio.run(scenario())


def test_what_a_killed_leader_leaves_is_killed(tmp_path: Path) -> None:
    """When a leader dies by kill -9, its children are killed before it runs again."""

    async def scenario() -> None:
        async with kept(tmp_path, WITH_CHILD) as it:
            await until(lambda: lines(tmp_path))
            assert it.pid
            os.kill(it.pid, signal.SIGKILL)
            await until(lambda: len(lines(tmp_path)) > 1)
            assert not runs(int(lines(tmp_path)[0]))

    asyncio.run(scenario())


def test_stopping_ends_the_whole_group(tmp_path: Path) -> None:
    """Stopping ends the program and its children, and strikes it out of the ledger."""

    async def scenario() -> None:
        async with kept(tmp_path, WITH_CHILD) as it:
            await until(lambda: lines(tmp_path))
            leader = it.pid
        assert leader
        assert not runs(leader)
        assert not runs(int(lines(tmp_path)[0]))
        assert Ledger(tmp_path / "ledger.json").end_leftovers() == 0

    asyncio.run(scenario())


def test_a_program_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace period a stubborn program is killed."""

    async def scenario() -> None:
        async with kept(tmp_path, STUBBORN, grace=0.1) as it:
            await until(lambda: lines(tmp_path))
            leader = it.pid
        assert leader
        assert not runs(leader)

    asyncio.run(scenario())


def test_hurrying_cuts_the_grace_short(tmp_path: Path) -> None:
    """A second request to stop does not wait for the grace period."""

    async def scenario() -> None:
        async with kept(tmp_path, STUBBORN, grace=60.0) as it:
            await until(lambda: lines(tmp_path))
            it.hurry()
            await asyncio.sleep(0)  # The first request begins to wait,
            it.hurry()
            await it.stop()  # and the second ends that.

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    """Processes that are in the ledger are ended, with what is left of their sessions when the leader is gone."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", WITH_CHILD], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout
        child = int(leader.stdout.readline())
        Ledger(tmp_path / "ledger.json").add(leader.pid)
        leader.kill()
        leader.wait()
        assert Ledger(tmp_path / "ledger.json").end_leftovers() == 1
        assert not runs(child)


def test_a_number_that_was_given_again_is_left_alone(tmp_path: Path) -> None:
    """A process with a number from the ledger and another start time is not ours."""
    ledger = tmp_path / "ledger.json"
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as stranger:
        ledger.write_text(f'{{"processes": [{{"pid": {stranger.pid}, "started": 1.0}}], "scratch": null}}')
        assert Ledger(ledger).end_leftovers() == 0
        assert stranger.poll() is None
        stranger.kill()


def test_a_scratch_directory_goes_with_the_leftovers(tmp_path: Path) -> None:
    """The scratch directory of a killed stack is deleted by the next one."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    Ledger(tmp_path / "ledger.json").owns(scratch)
    Ledger(tmp_path / "ledger.json").end_leftovers()
    assert not scratch.exists()


def test_a_tethered_program_ends_with_its_starter(tmp_path: Path) -> None:
    """On Linux a program is told to end when the one that started it is killed with -9."""
    inner = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    outer = (
        "import os, subprocess, sys; subprocess.run([sys.executable, '-I', '-S', "
        f"{tether.__file__!r}, str(os.getpid()), sys.executable, '-S', '-c', {inner!r}])"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", outer], stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        tethered = int(starter.stdout.readline())
        starter.kill()
    asyncio.run(until(lambda: not runs(tethered)))


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

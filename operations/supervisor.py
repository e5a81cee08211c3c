"""Keeps programs running: starts each again when it ends, and ends all of them, with their offspring.

Every program leads a session and process group of its own: a Ctrl-C in the terminal reaches only the supervisor, which
ends the programs in order; and when a leader dies, however it dies, the rest of its group is killed before it is
started again (a JVM that was killed leaves its workers behind). Output goes to a file for each program.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations import tether
from operations.ledger import Ledger, kill_group

FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0
STEADY = 30.0
"""Seconds of running after which a program's next end counts as its first."""
OLD_LOGS = 3


def _nothing() -> None:
    """The default preparation."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to keep running.

    Attributes:
        log: where its standard output and error go.
        prepare: run before each start.
        grace: seconds between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    prepare: Callable[[], None] = _nothing
    grace: float = 4.0


class Kept:
    """One program, and the process that runs it at the moment."""

    def __init__(self, program: Program, ledger: Ledger, report: Callable[[str], None]) -> None:
        """Starts nothing yet."""
        self.program = program
        self.pid: int | None = None
        self._ledger = ledger
        self._report = report
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Runs the program from now on."""
        rotate(self.program.log)
        self._task = asyncio.create_task(self._keep(), name=self.program.name)

    async def stop(self) -> None:
        """Ends the program and its offspring."""
        self.hurry()
        if self._task:
            await asyncio.wait([self._task])

    def hurry(self) -> None:
        """Begins to end the program, or kills it at once where that has begun already."""
        if self._task:
            self._task.cancel()

    def kill(self) -> None:
        """Kills the process and its group; it is started again."""
        if self.pid is not None:
            kill_group(self.pid)

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            status = await self._run()
            delay = FIRST_DELAY if time.monotonic() - began > STEADY else delay
            self._report(f"{self.program.name} ended ({meaning(status)}); starting it again in {delay:.1f} s")
            await asyncio.sleep(delay)
            delay = min(delay * 3, LONGEST_DELAY)

    async def _run(self) -> int:
        process = await spawn(self.program)
        self.pid = process.pid
        self._ledger.add(process.pid)
        try:
            return await process.wait()
        finally:
            await end(process, self.program.grace)
            self.pid = None
            self._ledger.remove(process.pid)


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Starts a program once, tied to this process and leading its own session."""
    program.prepare()
    command = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *program.command]
    with program.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.environment),
            cwd=program.directory,
            start_new_session=True,
        )


async def end(process: asyncio.subprocess.Process, grace: float) -> None:
    """Asks, waits, and then kills the whole group: also when it is cancelled while it waits."""
    try:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), grace)
    except (TimeoutError, asyncio.CancelledError):
        pass
    finally:
        kill_group(process.pid)
    await process.wait()


async def stop_all(stages: Sequence[Sequence[Kept]]) -> None:
    """Ends the programs stage by stage, those of one stage together."""
    for stage in stages:
        await asyncio.gather(*(kept.stop() for kept in stage))


def meaning(status: int) -> str:
    """An exit status in words."""
    return f"killed by signal {-status}" if status < 0 else f"exit code {status}"


def rotate(log: Path) -> None:
    """Makes room for a new log; the last few are kept as .1, .2 and so on, .1 the newest."""
    for number in reversed(range(OLD_LOGS)):
        older = log.with_name(f"{log.name}.{number}") if number else log
        with contextlib.suppress(FileNotFoundError):
            older.replace(log.with_name(f"{log.name}.{number + 1}"))

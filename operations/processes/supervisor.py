"""Keeps programs running: starts each again when it ends, and ends all of them, with their offspring.

Every program leads a session and process group of its own: a Ctrl-C in the terminal reaches only the supervisor, which
ends the programs in order; and when a leader dies, however it dies, the rest of its group is killed before it is
started again (a JVM that was killed leaves its workers behind). Output goes to a file for each program.

What cannot be mended by trying again ends the supervision with an error: the preparation before the first start, and
a program that says that its configuration is wrong (exit code 78).
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from operations.errors import OperationsError, in_words
from operations.processes import parent_death
from operations.processes.console_log import log

MARK = "FRAUD_STACK"
"""In the environment of each process of a stack, and of a keeper's own TorchServe: their scratch is in use."""
FIRST_RESTART_DELAY = 0.1
MAX_RESTART_DELAY = 10.0
STABLE_SECONDS = 30.0
"""Seconds of running after which a program's next end counts as its first."""
OLD_LOGS = 3
LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class Program:
    """What to keep running.

    Attributes:
        environment: to which the mark of the stack is added.
        log: where its standard output and error go.
        prepare: run before each start.
        kill_seconds: seconds between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    prepare: Callable[[], None] = lambda: None
    kill_seconds: float = 4.0


class ManagedProcess:
    """One program, and the process that runs it at the moment."""

    def __init__(self, program: Program, mark: Mapping[str, str]) -> None:
        """Starts nothing yet."""
        self.program = program
        self.pid: int | None = None
        self._mark = mark
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Runs the program from now on; the task ends only with an error that trying again does not mend."""
        self._task = asyncio.create_task(self._keep(), name=self.program.name)
        return self._task

    async def stop(self) -> None:
        """Ends the program and its offspring."""
        self.terminate()
        if self._task:
            await asyncio.wait([self._task])

    def terminate(self) -> None:
        """Begins to end the program, or kills it at once where that has begun already."""
        self._stopping = True
        if self._task:
            self._task.cancel()

    def kill(self) -> None:
        """Kills the process and its group; it is started again."""
        if self.pid is not None:
            kill_group(self.pid)

    async def _keep(self) -> None:
        rotate(self.program.log)
        self.program.prepare()
        delay = FIRST_RESTART_DELAY
        while not self._stopping:
            began = time.monotonic()
            ended = await self._run_once()
            delay = FIRST_RESTART_DELAY if time.monotonic() - began > STABLE_SECONDS else delay
            log.info(f"{self.program.name} {ended}; starting it again in {delay:.1f} s")
            await asyncio.sleep(delay)
            delay = min(delay * 3, MAX_RESTART_DELAY)

    async def _run_once(self) -> str:
        """Runs the program until it ends; says how it ended.

        Raises:
            OperationsError: its configuration is wrong; in its own words.
        """
        log = self.program.log
        try:
            before = log.stat().st_size if log.exists() else 0
            status = await self._run()
        except (OSError, OperationsError) as error:
            return f"could not be run ({in_words(error) if isinstance(error, OSError) else error})"
        if status == os.EX_CONFIG:
            raise OperationsError(log_tail(log, before) or f"the configuration of {self.program.name} is wrong")
        return f"ended ({describe_status(status)}), {relative_to_cwd(log)} says why"

    async def _run(self) -> int:
        program = self.program
        program.prepare()
        with program.log.open("ab") as log:
            process = await start_tied(
                *program.command,
                env={**program.environment, **self._mark},
                directory=program.directory,
                stdin=asyncio.subprocess.DEVNULL,
                output=log,
            )
        try:
            self.pid = process.pid
            return await process.wait()
        finally:
            await terminate_process(process, program.kill_seconds)
            self.pid = None


async def start_tied(
    *command: str,
    env: Mapping[str, str],
    directory: Path,
    stdin: int | None = None,
    output: IO[bytes] | int | None = None,
) -> asyncio.subprocess.Process:
    """Starts a command that gets SIGTERM when this process ends, and leads a session of its own.

    Args:
        command: its words.
        env: its whole environment.
        directory: where it runs.
        stdin: as asyncio has it; None inherits.
        output: standard output and error together; None inherits both.
    """
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())),
        *command,
        stdin=stdin,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT if output == asyncio.subprocess.PIPE else output,
        env=env,
        cwd=directory,
        start_new_session=True,
    )


async def terminate_process(process: asyncio.subprocess.Process, kill_seconds: float) -> None:
    """Asks, waits, and then kills the whole group: also when it is cancelled while it waits."""
    try:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), kill_seconds)
    except (TimeoutError, asyncio.CancelledError):
        pass
    finally:
        kill_group(process.pid)
    await process.wait()


def kill_group(pid: int) -> None:
    """Kills whatever is left in the process group of a leader that ended or must end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def log_tail(log: Path, start: int) -> str:
    """The last lines of a log from some byte on; none where it cannot be read."""
    try:
        text = log.read_bytes()[start:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LAST_LINES:])


def relative_to_cwd(file: Path) -> Path:
    """A path as one would type it here."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def describe_status(status: int) -> str:
    """An exit status in words."""
    return f"killed by signal {-status}" if status < 0 else f"exit code {status}"


def rotate(log: Path) -> None:
    """Makes room for a new log; the last few are kept as .1, .2 and so on, .1 the newest."""
    for number in reversed(range(OLD_LOGS)):
        older = log.with_name(f"{log.name}.{number}") if number else log
        with contextlib.suppress(FileNotFoundError):
            older.replace(log.with_name(f"{log.name}.{number + 1}"))

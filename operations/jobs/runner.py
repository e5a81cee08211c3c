"""Runs one job of the schedule as a process of its own, and passes on what it says.

The same job never runs twice at a time, whoever starts it: a person, `fraud schedule`, or the keeper. The command
itself holds the lock (`operations.jobs.outcome.record_job`), so that it is held by a process that outlives whoever
started it, and is let go however that process ends.
"""

import asyncio
import codecs
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from operations.errors import OperationsError, in_words
from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs.crontab import Job
from operations.jobs.outcome import JobOutcome
from operations.processes.supervisor import start_tied, terminate_process
from operations.settings import StatePaths

Write = Callable[[str], None]
"""Takes a line of output without its end; it must not raise."""
KILL_SECONDS = 7.0
"""Seconds between SIGTERM and SIGKILL; containers are killed after 10."""
LONGEST_LINE = 8192
"""Characters; a longer line is passed on in parts."""
CHUNK = 65_536
NOT_STARTED = 126
"""Exit code of a job whose process could not be started, as a shell has it."""

_started = set[Path]()
"""The locks of the jobs that this process has started: a command takes its own a moment later."""


def refuse_if_running(job: Job, paths: StatePaths) -> None:
    """Asks before a job is started, so that the answer can be a refusal.

    Raises:
        LockHeld: it runs already.
    """
    lock, refusal = outcome.lock(paths, job.name), f"fraud {job.name} runs already"
    if lock in _started:
        raise LockHeld(refusal)
    try:
        outcome.prepare(paths)
        with durable.locked(lock, refusal):
            pass
    except LockHeld:
        raise
    except (OperationsError, OSError):  # On a full disk a job runs without a lock.
        pass


async def run(job: Job, paths: StatePaths, write: Write) -> int:
    """Runs a job to its end and passes its output on, line by line; when cancelled, it ends the job first.

    An outcome that the command could not write down itself (it was killed, or its options are wrong) is written here.

    Returns:
        Its exit code, 128 + n where signal n ended it; `outcome.ALREADY_RUNNING` where another started it first.

    Raises:
        LockHeld: it runs already; nothing was started or written.
    """
    refuse_if_running(job, paths)
    lock = outcome.lock(paths, job.name)
    _started.add(lock)
    try:
        return await _reported(job, paths, write)
    finally:
        _started.discard(lock)


async def _reported(job: Job, paths: StatePaths, write: Write) -> int:
    note = partial(_record_if_missing, job, paths, outcome.last_outcome(paths, job.name), time.monotonic())
    starting = asyncio.create_task(_start_process(job, paths))
    try:
        process = await asyncio.shield(starting)
        await _forward_until_exit(process, write)
        code = _exit_code(process)
    except OSError as error:
        write(f"fraud {job.name} cannot be started: {in_words(error)}")
        code = NOT_STARTED
    except asyncio.CancelledError:
        process = await starting  # A process that is half started ends like any other.
        await terminate_process(process, KILL_SECONDS)
        note(_exit_code(process))  # Told to nobody: whoever stops the schedule knows.
        raise
    if note(code) and code:  # The command could not tell of it itself.
        await asyncio.to_thread(outcome.send_alert, f"fraud {job.name} failed: exit code {code}", os.environ)
    return code


def _record_if_missing(job: Job, paths: StatePaths, before: JobOutcome | None, began: float, code: int) -> bool:
    """Writes the outcome down where the command did not; says whether that was so."""
    is_news = code != outcome.ALREADY_RUNNING and outcome.last_outcome(paths, job.name) == before
    if is_news:
        outcome.record_outcome(paths, job.name, code, time.monotonic() - began)
    return is_news


async def _forward_until_exit(process: asyncio.subprocess.Process, write: Write) -> None:
    """Passes on what a process says until it ends; when cancelled, ends it and passes on what it says to that."""
    assert process.stdout  # noqa: S101 - it is a pipe
    reading = asyncio.create_task(_forward_lines(process.stdout, write))
    try:
        await asyncio.shield(reading)
        await process.wait()
    finally:
        await terminate_process(process, KILL_SECONDS)
        await reading


def _exit_code(process: asyncio.subprocess.Process) -> int:
    """The exit code of a process that has ended, as a shell has it."""
    status = process.returncode or 0
    return status if status >= 0 else outcome.KILLED - status


async def _start_process(job: Job, paths: StatePaths) -> asyncio.subprocess.Process:
    """The job's process: it leads a session of its own, and gets SIGTERM when this process is gone."""
    return await start_tied(
        *(sys.executable, "-m", "operations", *job.arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        directory=paths.root,
        stdin=asyncio.subprocess.DEVNULL,
        output=asyncio.subprocess.PIPE,
    )


async def _forward_lines(stream: asyncio.StreamReader, write: Write) -> None:
    """Passes on each line as it comes, and at last what has no end."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while chunk := await stream.read(CHUNK):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in lines:
            write(line.removesuffix("\r"))
        while len(rest) > LONGEST_LINE:
            write(rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
    if rest:
        write(rest)

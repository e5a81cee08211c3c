"""A server under measurement: the processes that it is made of, what they use, and that none of them outlives it."""

import contextlib
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self

import psutil

from operations.processes import parent_death

MARK = "FRAUD_BENCH"
"""In the environment of each process of a server, by which those are found that it has let go."""
SAMPLE_SECONDS = 0.2
POLL_SECONDS = 0.05
TERM_SECONDS = 20.0
PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 1e6


class ServerFailedError(Exception):
    """A server that did not start, or has ended."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """What to start.

    Attributes:
        ready_path: answers 200 once requests can be sent.
        labels: patterns of command lines, and what such a process is called in the tables; the first that fits.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    port: int
    ready_path: str
    labels: Mapping[str, str]


class ServerProcesses:
    """The programs of one server, which run, with all that they started."""

    def __init__(self, programs: Sequence[ServerProgram], log: Path, timeout_seconds: float) -> None:
        """Starts nothing yet."""
        self._programs = programs
        self._log = log
        self._timeout = timeout_seconds
        self._token = secrets.token_hex(8)
        self._started = list[subprocess.Popen[bytes]]()
        self._labels = {pattern: label for program in programs for pattern, label in program.labels.items()}
        self.ready_seconds = 0.0

    def __enter__(self) -> Self:
        """Starts them one after the other, each once the one before is ready.

        Raises:
            ServerFailedError: one is not ready within the timeout.
        """
        began = time.perf_counter()
        try:
            for program in self._programs:
                self._start(program)
                self._wait_until_ready(program, began + self._timeout)
        except BaseException:
            self._end()
            raise
        self.ready_seconds = time.perf_counter() - began
        return self

    def __exit__(self, *_: object) -> None:
        """Ends them, and whatever they left."""
        self._end()

    def _start(self, program: ServerProgram) -> None:
        tied = (sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid()))
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*tied, *program.command],
                cwd=program.directory,
                env={**program.environment, MARK: self._token},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)

    def _wait_until_ready(self, program: ServerProgram, until: float) -> None:
        while not _is_ready(program):
            if self._started[-1].poll() is not None:
                raise ServerFailedError(f"it ended while it started: {self._tail()}")
            if time.perf_counter() > until:
                raise ServerFailedError(f"it was not ready within {self._timeout:.0f} s: {self._tail()}")
            time.sleep(POLL_SECONDS)

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " / ".join(line.strip() for line in lines[-3:])[-400:]

    def _end(self) -> None:
        """Asks each to end, the last first; then kills what is left, by its id."""
        members = set(self.members())
        for process in reversed(self._started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TERM_SECONDS)
        members |= set(self.members())
        for member in members:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(list(members), timeout=5)
        for process in self._started:
            process.wait()

    def members(self) -> list[psutil.Process]:
        """Every process that it is made of: descendants, and those with its mark that are so no more."""
        found = set[psutil.Process]()
        for process in self._started:
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(process.pid)
                found |= {root, *root.children(recursive=True)}
        return list(found | set(_marked(self._token)))

    def usage(self) -> "Usage":
        """What each process has used until now, and holds."""
        cpu, memory = dict[tuple[int, float], tuple[str, float]](), defaultdict[str, float](float)
        for process in self.members():
            with contextlib.suppress(psutil.Error, OSError):
                label = self.label(process)
                times = process.cpu_times()
                cpu[process.pid, process.create_time()] = label, times.user + times.system
                memory[label] += process.memory_info().rss / MEGABYTE
        return Usage(cpu, dict(memory))

    def label(self, process: psutil.Process) -> str:
        """What the process is called in the tables."""
        line = " ".join(process.cmdline()) or process.name()
        return next((label for pattern, label in self._labels.items() if re.search(pattern, line)), "others")


@dataclass(frozen=True, slots=True)
class Usage:
    """What processes have used of a processor, by process, and hold of memory, by label in MB."""

    cpu: Mapping[tuple[int, float], tuple[str, float]]
    memory: Mapping[str, float]

    def cpu_since(self, before: "Usage") -> dict[str, float]:
        """Seconds by label."""
        seconds = defaultdict[str, float](float)
        for process, (label, used) in self.cpu.items():
            seconds[label] += used - before.cpu.get(process, (label, 0.0))[1]
        return dict(seconds)


class PeakSampler:
    """The most memory that the processes of a server held at one moment, in MB by label; sampled by a thread."""

    def __init__(self, server: ServerProcesses) -> None:
        """Starts nothing yet."""
        self._server = server
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = dict[str, float]()

    def __enter__(self) -> Self:
        """Begins."""
        self._processes = [(each.pid, self._server.label(each)) for each in self._server.members()]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(SAMPLE_SECONDS):
            held = defaultdict[str, float](float)
            for pid, label in self._processes:
                with contextlib.suppress(OSError, ValueError, IndexError):
                    held[label] += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE / MEGABYTE
            self.peak = {label: max(held[label], self.peak.get(label, 0.0)) for label in {*held, *self.peak}}


def _is_ready(program: ServerProgram) -> bool:
    url = f"http://127.0.0.1:{program.port}{program.ready_path}"
    with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == HTTPStatus.OK)
    return False


def _marked(token: str) -> Iterator[psutil.Process]:
    wanted = f"{MARK}={token}".encode()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes():
                yield process

"""Which processes a stack has started: written down at once, so that the next start can end what a killed one left.

A process is known by its number and its start time, never by its name; each leads a session of its own, and whatever
is left in that session is its offspring. Entries from before a reboot match no start time and are dropped.
"""

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from operations import durable

SAME_START = 0.5
"""Seconds that two readings of one process's start time may differ."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started as the leader of a session."""

    pid: int
    started: float


class Ledger:
    """The processes and the scratch directory of one stack, in one file."""

    def __init__(self, path: Path) -> None:
        """Starts empty; what the file holds is of an earlier stack until :meth:`end_leftovers`."""
        self._path = path
        self._started: dict[int, Started] = {}
        self._scratch: Path | None = None

    def owns(self, scratch: Path) -> None:
        """Writes down a directory that must not outlive the stack."""
        self._scratch = scratch
        self._save()

    def add(self, pid: int) -> None:
        """Writes a process down; one that has already ended is left out."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._started[pid] = Started(pid, psutil.Process(pid).create_time())
            self._save()

    def remove(self, pid: int) -> None:
        """Strikes a process out: it and its session are gone."""
        self._started.pop(pid, None)
        self._save()

    def end_leftovers(self) -> int:
        """Kills what an earlier stack left running and deletes its scratch directory; says how many processes."""
        try:
            fields = json.loads(self._path.read_bytes())
            leftovers = [Started(**started) for started in fields["processes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        killed = sum(_kill_session(leader) for leader in leftovers)
        if fields.get("scratch"):
            shutil.rmtree(fields["scratch"], ignore_errors=True)
        self._save()
        return killed

    def _save(self) -> None:
        processes = [asdict(started) for started in self._started.values()]
        fields = {"processes": processes, "scratch": self._scratch and str(self._scratch)}
        durable.write(self._path, json.dumps(fields).encode(), 0o600)


def _kill_session(leader: Started) -> int:
    members = list(_session(leader))
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(members, timeout=5)
    return len(members)


def _session(leader: Started) -> Iterator[psutil.Process]:
    """What runs in a session. Its number is not given again while a member lives, even when the leader is gone."""
    if psutil.pid_exists(leader.pid) and not _is_same(leader):
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == leader.pid and process.create_time() >= leader.started - SAME_START:
                yield process


def _is_same(leader: Started) -> bool:
    try:
        return abs(psutil.Process(leader.pid).create_time() - leader.started) < SAME_START
    except psutil.Error:
        return False


def kill_group(pid: int) -> None:
    """Kills whatever is left in the process group of a leader that ended or must end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)

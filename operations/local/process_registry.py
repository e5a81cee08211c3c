"""Which processes belong to a stack: each carries a mark, so that the next start can end what a killed one left.

The mark is a random token in the environment, which offspring inherit. It is written down before anything is started
and never used again: unlike a process's number or a session's, nobody else can come to have it.
"""

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from operations.files import durable
from operations.processes.supervisor import MARK


class ProcessRegistry:
    """The mark and the scratch directory of one stack, in one file."""

    def __init__(self, path: Path) -> None:
        """Makes a new mark; what the file holds is of an earlier stack until :meth:`register`."""
        self._path = path
        self._token = secrets.token_hex(16)

    @property
    def mark(self) -> Mapping[str, str]:
        """What the environment of each of the stack's processes must hold."""
        return {MARK: self._token}

    def register(self, scratch: Path) -> None:
        """Writes down the mark, and a directory that must not outlive the stack; call it before anything is started."""
        durable.write(self._path, json.dumps({"mark": self._token, "scratch": str(scratch)}).encode(), 0o600)

    def kill_orphans(self) -> int:
        """Kills what an earlier stack left running and deletes its scratch directory; says how many processes."""
        try:
            fields = json.loads(self._path.read_bytes())
            mark, scratch = str(fields["mark"]), str(fields["scratch"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        members = list(_processes_with_mark(mark))
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=5)
        shutil.rmtree(scratch, ignore_errors=True)
        return len(members)


def _processes_with_mark(token: str) -> Iterator[psutil.Process]:
    """The processes with a mark; one whose environment cannot be read is not ours."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == token:
                yield process

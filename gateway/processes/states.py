"""What the processes of a gateway tell each other: each writes its state to a file of its own, some times a second."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What a process said of itself.

    Attributes:
        process: its number, from 1 on; one that is started anew has the same.
        listening: whether it takes requests.
        ready: whether it has a live version, and has been ready once.
        version: the one that it serves; None where it has none.
        recorded_version: the one that the release record names, as this process last read it.
        trial: the trial as /health has it; None without one.
        at: when it said so, in seconds of the machine's monotonic clock.
    """

    process: int
    listening: bool
    ready: bool
    version: int | None
    recorded_version: int | None
    trial: Mapping[str, Any] | None
    at: float = field(default_factory=time.monotonic)


class ProcessStates:
    """The states of all processes, in a directory that only they use."""

    def __init__(self, directory: Path, process: int = 0) -> None:
        """Takes the number of this process; 0 is the one that starts the others."""
        self.directory = directory
        self.process = process
        # Of its own: behind large files in the threads of all it would wait, and the process look as if it hung.
        self._thread = ThreadPoolExecutor(1)

    async def write(self, state: ProcessState) -> None:
        """Replaces the state of this process. A thread does it: a disk that is slow must not hold up requests."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, json.dumps(asdict(state)))

    def others(self) -> Sequence[ProcessState]:
        """The states of all other processes that have said something, by number."""
        files = self.directory.glob("*.json")
        states = (_read(file) for file in files if file.stem != str(self.process))
        return sorted((state for state in states if state), key=lambda state: state.process)

    def forget(self, process: int) -> None:
        """Removes what a process said and shows that has ended; what it counted stays."""
        for pattern in (f"{process}.json", f"gauge_live*_{process}.db"):
            for file in self.directory.glob(pattern):
                file.unlink(missing_ok=True)

    def _write(self, text: str) -> None:
        new = self.directory / f"{self.process}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.directory / f"{self.process}.json")


def _read(file: Path) -> ProcessState | None:
    """The state in a file; None where its process has just ended."""
    try:
        return ProcessState(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None

"""Whether somebody waits for a few scores just now, so that a large file leaves them room in the model server."""

import mmap
import struct
import time
from pathlib import Path

RECENT_SECONDS = 1.0
"""After a call for few rows, the next one is expected for so long."""
TIME = struct.Struct("d")


class RecentCalls:
    """When a process of this gateway last asked for the scores of a few rows."""

    def __init__(self, file: Path | None = None) -> None:
        """Takes a file that all processes of the gateway map; None where there is one process."""
        self._memory: mmap.mmap | bytearray = bytearray(TIME.size) if file is None else _mapped(file)

    def note(self) -> None:
        """It is now. Eight bytes are written at once: whoever reads them meanwhile has the old time or the new one."""
        TIME.pack_into(self._memory, 0, time.monotonic())

    @property
    def any(self) -> bool:
        """Whether there was one within RECENT_SECONDS."""
        noted: float = TIME.unpack_from(self._memory)[0]
        return time.monotonic() - noted < RECENT_SECONDS


def _mapped(file: Path) -> mmap.mmap:
    with file.open("a+b") as opened:
        opened.truncate(TIME.size)
        return mmap.mmap(opened.fileno(), TIME.size)

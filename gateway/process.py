"""`python -m gateway.process NUMBER COUNT PARENT PORT`: one process of several, as the supervisor starts it.

Where the supervisor is killed, this process answers what it took, takes no more, and ends; the last one leaves nothing
of what they shared.
"""

import ctypes
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import values

from gateway.drain import Drain
from gateway.logs import configure
from gateway.processes.sockets import bind
from gateway.processes.states import ProcessStates
from gateway.serving import serve
from gateway.settings import load_settings

PR_SET_PDEATHSIG = 1
"""From Linux' prctl.h; elsewhere the process outlives its parent until it is told to end."""


@dataclass
class ProcessDrain(Drain):
    """The drain of one process: without a delay where nobody starts it again."""

    parent: int = 0

    @property
    def orphaned(self) -> bool:
        """Whether the supervisor is gone."""
        return os.getppid() != self.parent

    def begin(self) -> None:
        """Begins the drain; called again, it ends the delay."""
        super().begin()
        if self.orphaned:
            super().begin()


def main(process: int, count: int, parent: int, port: int) -> None:
    """Runs until SIGTERM, SIGINT or the supervisor's end, and then drains."""
    settings, directory = load_settings().share(count), Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    drain = ProcessDrain(settings.drain_delay_seconds, parent=parent)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if not drain.orphaned:  # Or else it ended before the tie was made.
            # By number, not by id: one that is started again goes on counting where the one before ended.
            values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
            configure(settings.log_file, stream=settings.log_stream)
            serve(settings, drain, bind(settings.host, port), ProcessStates(directory, process))
    finally:
        if drain.orphaned:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""`python -m gateway.process NUMBER PARENT PORT QUEUE SERVING LARGE`: one of several, as the supervisor starts it.

Where the supervisor is killed, this process answers what it took, takes no more, and ends; the last one leaves nothing
of what they shared.
"""

import ctypes
import os
import shutil
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import values

from gateway.drain import Drain
from gateway.logs import configure
from gateway.no_pandas import hide_pandas
from gateway.processes.count import share
from gateway.processes.roles import ProcessCounts
from gateway.processes.sockets import bind
from gateway.processes.states import ProcessStates
from gateway.settings import load_settings

PR_SET_PDEATHSIG = 1
"""From Linux' prctl.h; elsewhere the process outlives its parent until it is told to end."""
NICENESS = 10
"""Of a process for large bodies: a tenth of the processor, where others want all of it."""
AUTOGROUP = Path("/proc/self/autogroup")
PASSED_SECONDS = 0.2
"""For which a process for large bodies goes on when the others have stopped: they may have passed a connection on."""


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


def main(process: int, parent: int, port: int, queue: int, *counts: int) -> None:
    """Runs until SIGTERM, SIGINT or the supervisor's end, and then drains.

    Args:
        process: its number.
        parent: the process id of the supervisor.
        port: that all listen on who take connections.
        queue: the file descriptor of its end of the queue of connections that are passed on.
        counts: how many processes take connections, and how many serve large bodies.
    """
    hide_pandas()
    from gateway.serving import serve_connections, serve_large_bodies  # noqa: PLC0415 - pyarrow would import pandas

    sharing, directory = ProcessCounts(*counts), Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    is_large = sharing.is_large(process)
    settings = share(load_settings(), sharing, large=is_large)
    drain = ProcessDrain(settings.drain_delay_seconds + PASSED_SECONDS * is_large, parent=parent)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        if not drain.orphaned:  # Or else it ended before the tie was made.
            # By number, not by id: one that is started again goes on counting where the one before ended.
            values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]
            configure(settings.log_file, stream=settings.log_stream)
            states, end = ProcessStates(directory, process), socket.socket(fileno=queue)
            if is_large:
                _give_way()
                serve_large_bodies(settings, drain, states, end)
            else:
                serve_connections(settings, drain, states, bind(settings.host, port), end if sharing.large else None)
    finally:
        if drain.orphaned:
            shutil.rmtree(directory, ignore_errors=True)


def _give_way() -> None:
    """Lets everything else have the processors first: what answers others must not wait for what computes a file."""
    os.nice(NICENESS)
    with suppress(OSError):  # Linux may weigh sessions, and this process has its own; elsewhere there is no such file.
        AUTOGROUP.write_text(str(NICENESS))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

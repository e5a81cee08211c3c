"""Runs a command so that it gets SIGTERM when the process that started it is gone, even by kill -9.

    python -I -S parent_death.py PARENT_PID COMMAND...

A program of its own, not a function run between fork and exec: that is not safe in a process with threads. Linux only;
elsewhere the command just runs. SIGTERM and not SIGKILL, so that a JVM still ends its own workers. It imports only
what it needs and takes about 20 ms.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Ties this process to its parent and becomes the command."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It ended before the tie was made.
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])

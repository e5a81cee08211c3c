"""`python -m gateway.processes PORT DIRECTORY SECONDS SERVING LARGE STREAM [FILE]`: the supervisor, and no more.

`python -m gateway` becomes this program when it has read the settings: what it imported for that took 40 MB.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from gateway.logs import configure
from gateway.processes.roles import ProcessCounts
from gateway.processes.states import ProcessStates
from gateway.processes.supervisor import Supervisor


def main(  # noqa: PLR0913, PLR0917 - the arguments of a program
    port: str, directory: str, seconds: str, serving: str, large: str, stream: str, file: str = ""
) -> None:
    """Runs all processes until a signal has ended them.

    Args:
        port: that they listen on.
        directory: that they share; it is removed at the end.
        seconds: after the first signal, until what still runs is killed.
        serving: how many take connections.
        large: how many serve large bodies.
        stream: "1" where log lines go to the standard output.
        file: where they go too; empty for no file.
    """
    configure(Path(file) if file else None, stream=stream == "1")
    counts = ProcessCounts(int(serving), int(large))
    try:
        asyncio.run(Supervisor(counts, int(port), ProcessStates(Path(directory)), float(seconds)).run())
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

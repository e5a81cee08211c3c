"""Work on a thread that nobody waits for."""

import asyncio
import subprocess
import sys
import threading

import pytest

from operations.processes.daemon_thread import run_in_daemon_thread
from tests.timeouts import WAIT_SECONDS


def test_gives_what_the_function_returns() -> None:
    """It runs on another thread than the loop."""
    assert asyncio.run(run_in_daemon_thread(threading.get_ident)) != threading.get_ident()


def test_raises_what_the_function_raises() -> None:
    """The same exception."""

    def act() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(run_in_daemon_thread(act))


def test_a_function_that_goes_on_delays_no_end() -> None:
    """Neither the loop's end nor the process's waits for it, nor is anything said of it."""
    code = "import asyncio, time\nfrom operations.processes.daemon_thread import run_in_daemon_thread\n"
    code += "async def main():\n asyncio.create_task(run_in_daemon_thread(lambda: time.sleep(600)))\n"
    code += " await asyncio.sleep(0.1)\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}asyncio.run(main())"], capture_output=True, timeout=WAIT_SECONDS, check=True
    )
    assert done.stderr == b""

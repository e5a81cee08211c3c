"""Runs a function in a daemon thread, which does not delay the end of this process.

Reconciling may load a version, which takes minutes where workers do not start; a process that gets SIGTERM has seconds.
What is interrupted so is left as by SIGKILL: locks end with the process, files are replaced in one step, and the next
process continues from there.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(act: Callable[[], T]) -> T:
    """What a function returns or raises, while the event loop goes on."""
    future = Future[T]()
    future.set_running_or_notify_cancel()  # From now on a cancellation ends the wait alone.

    def run() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)

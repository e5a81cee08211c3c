"""Runs a function in a daemon thread, which does not delay the end of this process.

Reconciling may load a version, which takes minutes where workers do not start; a process that gets SIGTERM has seconds.
What is interrupted so is left as by SIGKILL: locks end with the process, files are replaced in one step, and the next
process continues from there.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(act: Callable[[], T]) -> T:
    """What a function returns or raises, while the event loop goes on."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def complete(set_future: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(lambda: None if future.done() else set_future())

    def run() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            complete(partial(future.set_exception, error))
        else:
            complete(partial(future.set_result, result))

    threading.Thread(target=run, daemon=True).start()
    return await future

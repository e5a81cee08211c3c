"""Work on a thread that nobody waits for when this process ends.

A look at a model server may load a version, which takes minutes where its workers do not start; a process that is told
to end has seconds. What is cut off so is left as by a kill: locks end with the process, files are replaced in one step,
and what starts next goes on from there.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def run_in_daemon_thread(act: Callable[[], T]) -> T:
    """What a function returns or raises, run beside the loop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(give: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            loop.call_soon_threadsafe(lambda: None if future.done() else give())

    def run() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            settle(partial(future.set_exception, error))
        else:
            settle(partial(future.set_result, result))

    threading.Thread(target=run, daemon=True).start()
    return await future

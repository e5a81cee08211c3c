"""Signals that stop this process: Ctrl-C, SIGTERM, and SIGHUP when the terminal is gone."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable

ECHO_SECONDS = 0.5
"""Seconds in which a second signal is taken for the first one's echo."""


@contextlib.asynccontextmanager
async def stop_signals(on_second_signal: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """An event that the first signal sets; later ones call `on_second_signal`, but no echo (`timeout` sends two)."""
    stop, loop, first_signal = asyncio.Event(), asyncio.get_running_loop(), time.monotonic()

    def handle() -> None:
        nonlocal first_signal
        if stop.is_set() and time.monotonic() - first_signal > ECHO_SECONDS:
            on_second_signal()
        elif not stop.is_set():
            first_signal = time.monotonic()
            stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, handle)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def wait_for_stop(stop: asyncio.Event, tasks: set[asyncio.Task[None]]) -> None:
    """Waits until `stop` is set; raises what ended a task before that, for none ends by itself."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not stop.is_set():
                task.result()
    finally:
        stopping.cancel()

"""Being told to stop: by Ctrl-C, by SIGTERM, or because the terminal has gone."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable

ECHO = 0.5
"""Seconds in which a second signal is taken for the first one's echo."""


@contextlib.asynccontextmanager
async def stopping(hurry: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """An event that the first signal to end sets; a later one hurries, but not its echo (`timeout` sends two)."""
    told, loop, heard = asyncio.Event(), asyncio.get_running_loop(), time.monotonic()

    def hear() -> None:
        nonlocal heard
        if told.is_set() and time.monotonic() - heard > ECHO:
            hurry()
        elif not told.is_set():
            heard = time.monotonic()
            told.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, hear)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def until_told(told: asyncio.Event, tasks: set[asyncio.Task[None]]) -> None:
    """Waits until told to stop; raises what ended a task before that, for none ends by itself."""
    stop = asyncio.create_task(told.wait())
    try:
        await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done() and not told.is_set():
                task.result()
    finally:
        stop.cancel()

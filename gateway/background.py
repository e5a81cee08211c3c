"""Background tasks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from gateway.logs import log

CANCEL_INTERVAL_SECONDS = 0.1
RESTART_SECONDS = 1.0
"""After an error, until the work begins again."""


@asynccontextmanager
async def running(
    work: Callable[[], Coroutine[None, None, None]], restart_seconds: float = RESTART_SECONDS
) -> AsyncIterator[None]:
    """Runs work in the background until the end of the context, by which it has ended.

    Where an error ends it, it is logged and begins again: nobody awaits it, and a gateway that no longer follows the
    release record, say, would look well. It is cancelled until it ends: redis-py, just as it lost its connection, took
    10 of 650 cancellations for an error of the connection, and the work went on.
    """
    task = asyncio.create_task(_work(work, restart_seconds))
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_INTERVAL_SECONDS)


async def _work(work: Callable[[], Coroutine[None, None, None]], restart_seconds: float) -> None:
    while True:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - whatever it is, what the work does must go on
            log.error("background work failed", exc_info=error, restart_seconds=restart_seconds)
        await asyncio.sleep(restart_seconds)

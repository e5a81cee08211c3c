"""Background tasks."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from gateway.logs import log

CANCEL_INTERVAL_SECONDS = 0.1


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs work in the background until the end of the context, by which it has ended; an error that ends it is logged.

    It is cancelled until it ends: redis-py, just as it lost its connection, took 10 of 650 cancellations for an error
    of the connection, and the work went on.
    """
    task = asyncio.create_task(work)
    task.add_done_callback(_log_error)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_INTERVAL_SECONDS)


def _log_error(task: asyncio.Task[None]) -> None:
    """Nobody awaits the work: without this line it would be missed by what it no longer does."""
    if not task.cancelled() and (error := task.exception()):
        log.error("background work ended", exc_info=error)

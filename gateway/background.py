"""Background tasks."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

CANCEL_INTERVAL_SECONDS = 0.1


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Runs work in the background until the end of the context, by which it has ended.

    It is cancelled until it ends: redis-py, just as it lost its connection, took 10 of 650 cancellations for an error
    of the connection, and the work went on.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_INTERVAL_SECONDS)

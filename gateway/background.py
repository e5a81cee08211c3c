"""Work beside the requests."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

END_AGAIN_SECONDS = 0.1


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Work that goes on in the background until the end, and is over then.

    It is told to end until it does: redis-py, just as it lost its connection, took 10 of 650 cancellations for an
    error of the connection, and the work went on.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=END_AGAIN_SECONDS)

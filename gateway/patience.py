"""Waiting for a short while, and no longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

GRACE_SECONDS = 0.005
"""After the time is over: where this process itself was late, the answer lies there and only needs to be read."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Gives up what is awaited inside when the time is over.

    A timeout by the clock alone would blame the other side for the time that this process was busy: while a thread
    of its own reads a large file, the loop may come round only every 50 ms.

    Raises:
        TimeoutError: it was not done in time.
    """
    patience = _Patience()
    patience.wait(seconds)
    try:
        yield
    except asyncio.CancelledError:
        if patience.over and patience.task.uncancel() <= patience.cancelling:
            raise TimeoutError from None
        raise
    finally:
        patience.handle.cancel()


class _Patience:
    """The time that a task has, and a moment of grace."""

    handle: asyncio.TimerHandle

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self.task = task
        self.cancelling = task.cancelling()
        self.over = False

    def wait(self, seconds: float) -> None:
        self.handle = asyncio.get_running_loop().call_later(seconds, self._grace)

    def _grace(self) -> None:
        self.handle = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end)

    def _end(self) -> None:
        self.over = True
        self.task.cancel()


async def done_within(seconds: float, task: asyncio.Task[Any]) -> bool:
    """Whether a task is done in time, with the same grace; it goes on where it is not."""
    for patience in (seconds, GRACE_SECONDS):
        if (await asyncio.wait({task}, timeout=patience))[0]:
            return True
    return False

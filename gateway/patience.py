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
    patience = _Patience(seconds)
    try:
        yield
    except asyncio.CancelledError:
        if patience.end():
            raise TimeoutError from None
        raise
    finally:
        patience.end()


class _Patience:
    """The time that a task has, and a moment of grace; then it is cancelled, again and again until it ends.

    Once was not enough in 5% of cases: what waits in redis-py may take a cancellation for the end of its own waiting.
    """

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._task = task
        self._before = task.cancelling()
        self._times = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(seconds, self._grace)

    def end(self) -> bool:
        """Takes the cancellations back; whether there were any, and nobody else's."""
        self._handle.cancel()
        ours, self._times = self._times, 0
        for _ in range(ours):
            self._task.uncancel()
        return ours > 0 and self._task.cancelling() <= self._before

    def _grace(self) -> None:
        self._handle = self._loop.call_later(GRACE_SECONDS, self._cancel)

    def _cancel(self) -> None:
        self._times += 1
        self._task.cancel()
        self._handle = self._loop.call_later(GRACE_SECONDS, self._cancel)


async def done_within(seconds: float, task: asyncio.Future[Any]) -> bool:
    """Whether a task is done in time, with the same grace; it goes on where it is not."""
    for patience in (seconds, GRACE_SECONDS):
        if (await asyncio.wait({task}, timeout=patience))[0]:
            return True
    return False

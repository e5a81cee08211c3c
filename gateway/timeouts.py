"""A timeout that counts the time in which this process could have heard an answer, and no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICKS = 20
"""Of a timeout. A tick that comes late counts as one: the event loop was busy, and read no socket meanwhile."""
TURNS = 3
"""Of the event loop, after the last tick: one reads the sockets, the next ones hand on what was read. uvloop runs its
timers before it reads its sockets."""
REPEAT_SECONDS = 0.005


@asynccontextmanager
async def io_timeout(seconds: float) -> AsyncIterator[None]:
    """Cancels what is awaited inside once the other side has not answered for this many seconds.

    A timeout by the clock alone would count the time that this process was busy: while its threads read large files,
    the loop runs every 50 ms, and now and then not for a second.

    Raises:
        TimeoutError: there was no answer in time.
    """
    timeout = _Timeout(seconds)
    try:
        yield
    except asyncio.CancelledError:
        if timeout.end():
            raise TimeoutError from None
        raise
    finally:
        timeout.end()


class _Timeout:
    """Cancels the current task after a time, again and again until it ends.

    Once was not enough in 5% of cases: redis-py may take a cancellation for the end of a timeout of its own.
    """

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._task = task
        self._before = task.cancelling()
        self._cancellations = 0
        self._loop = asyncio.get_running_loop()
        self._tick_seconds = seconds / TICKS
        self._handle: asyncio.Handle = self._loop.call_later(self._tick_seconds, self._tick, TICKS - 1)

    def end(self) -> bool:
        """Takes the cancellations back; whether there were any, and none by others."""
        self._handle.cancel()
        ours, self._cancellations = self._cancellations, 0
        for _ in range(ours):
            self._task.uncancel()
        return ours > 0 and self._task.cancelling() <= self._before

    def _tick(self, left: int) -> None:
        if left:
            self._handle = self._loop.call_later(self._tick_seconds, self._tick, left - 1)
        else:
            self._turn(TURNS)

    def _turn(self, left: int) -> None:
        if left:
            self._handle = self._loop.call_soon(self._turn, left - 1)
        else:
            self._cancel()

    def _cancel(self) -> None:
        self._cancellations += 1
        self._task.cancel()
        self._handle = self._loop.call_later(REPEAT_SECONDS, self._cancel)

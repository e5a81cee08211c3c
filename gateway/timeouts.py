"""A timeout that counts the time in which this process could have heard an answer, and no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICKS = 20
"""Of a timeout. A tick that comes late counts as one: the event loop was busy, and looked at no socket meanwhile."""
TURNS = 3
"""Of the event loop, after the last tick: one asks the sockets, the next ones hand on what lay there. uvloop looks at
its timers before it looks at its sockets."""
AGAIN_SECONDS = 0.005


@asynccontextmanager
async def io_timeout(seconds: float) -> AsyncIterator[None]:
    """Gives up what is awaited inside when the other side has not answered for so many seconds.

    A timeout by the clock alone would blame the other side for the time that this process was busy: while its threads
    read large files, the loop comes round every 50 ms, and now and then not for a second.

    Raises:
        TimeoutError: it was not done in time.
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
    """The time that a task has; then it is cancelled, again and again until it ends.

    Once was not enough in 5% of cases: what waits in redis-py may take a cancellation for the end of its own waiting.
    """

    def __init__(self, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines run in tasks
        self._task = task
        self._before = task.cancelling()
        self._times = 0
        self._loop = asyncio.get_running_loop()
        self._tick_seconds = seconds / TICKS
        self._handle: asyncio.Handle = self._loop.call_later(self._tick_seconds, self._tick, TICKS - 1)

    def end(self) -> bool:
        """Takes the cancellations back; whether there were any, and nobody else's."""
        self._handle.cancel()
        ours, self._times = self._times, 0
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
        self._times += 1
        self._task.cancel()
        self._handle = self._loop.call_later(AGAIN_SECONDS, self._cancel)

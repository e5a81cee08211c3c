"""One batch of transactions on its way into Redis: sends what `history.session` asks for, and hands it the replies."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.allocator import trim
from gateway.history.pipeline import BatchPipeline
from gateway.redis.transports import RedisTransports
from history.redis_schema import COUNT_NON_STATES, ENTER, MERGE, STORE_VALUES
from history.session import BatchSession

POLLS, POLL_SECONDS = 5, 0.004
"""How often, and after how long each, a row is looked up again whose values another request is about to store."""

TURNS = 3
"""Of the event loop, in which the request to the model is sent before anything is written."""

TRIM_ROWS = 10_000
"""Of a batch after whose merges free memory is given back, about as after a body of a megabyte; a smaller one has
little to give back."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]


class BatchWriter:
    """Enters one batch.

    All methods raise RedisError or OSError where Redis cannot be used.
    """

    def __init__(self, transports: RedisTransports, session: BatchSession, work: Work) -> None:
        """Takes how to call a function that takes the longer the larger the batch is."""
        self.session = session
        self._transports = transports
        self._pipeline = BatchPipeline(transports.blocking, transports.key)
        self._work = work

    async def enter(self) -> None:
        """Enters a small batch, and reads the states and the values of repeats."""
        while await self._send_entries():
            pass
        await self._poll_values()

    async def read(self) -> None:
        """Reads all states of a large batch."""
        reading = self._in_thread(self._pipeline.read, self.session)
        await self._work(self.session.prepare)
        await self._work(self.session.receive_states, await reading)
        if checks := self.session.type_checks():
            replies = await self._in_thread(self._pipeline.scripts, COUNT_NON_STATES, checks)
            self.session.receive_type_checks(replies)

    async def enter_large(self, values: Awaitable[Values]) -> None:
        """Enters a large batch, whose values are computed meanwhile.

        The thread that enters it does little but wait for Redis: whatever else it computed would hold up what computes
        the values, since both need the interpreter's lock.
        """
        entering = self._in_thread(self._pipeline.enter, self.session)
        computed = await values
        for _ in range(TURNS):
            await asyncio.sleep(0)
        await self._work(self.session.prepare_appending)
        await self._work(self.session.prepare_values, computed)
        await entering
        await self._poll_values()

    async def store_values(self, values: Values | None) -> None:
        """Stores the values for repeats; None says that there are none."""
        if arguments := await self._work(self.session.store_arguments, values):
            if self.session.large:
                await self._in_thread(self._pipeline.scripts, STORE_VALUES, [arguments])
            else:
                await self._transports.pool.run(STORE_VALUES, arguments)

    async def merge_states(self) -> None:
        """Merges long states, after the reply."""
        if arguments := await self._work(self.session.merge_arguments):
            await self._transports.pool.run(MERGE, arguments)
            del arguments
            if self.session.entered_count > TRIM_ROWS:
                await self._work(trim)

    async def _send_entries(self) -> bool:
        """Sends the calls of ENTER that are due; whether there were any."""
        calls = await self._work(self.session.entry_calls)
        script = self._transports.key.guarded(ENTER)
        replies = [await self._transports.pool.run(script, call) for call in calls]
        if calls:
            await self._work(self.session.receive_entries, replies)
        return bool(calls)

    async def _poll_values(self) -> None:
        """Looks rows up again that another request has just entered, until their values are stored."""
        for _ in range(POLLS):
            if not len(self.session.awaiting_values):
                return
            await asyncio.sleep(POLL_SECONDS)
            self.session.retry_lookups()
            if self.session.large:
                await self._in_thread(self._pipeline.look_up, self.session)
            else:
                await self._send_entries()

    def _in_thread(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Runs in a thread to its end, whatever becomes of who waits for it."""
        future = asyncio.get_running_loop().run_in_executor(self._transports.threads, function, *arguments)
        future.add_done_callback(consume_exception)
        return future


def consume_exception(done: asyncio.Future[Any]) -> None:
    """Keeps asyncio from reporting a failure that no caller waits for any more."""
    if not done.cancelled():
        done.exception()

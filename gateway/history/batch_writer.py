"""One batch of transactions on its way into Redis: what `history.session` asks, sent, and its replies brought back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.history.pipeline import BatchPipeline
from gateway.redis.transports import RedisTransports
from history.redis_schema import COUNT_NON_STATES, ENTER, MERGE, STORE_VALUES, Argument
from history.session import BatchSession, Reply

LOOKS, PROOF_TIMEOUT_SECONDS = 5, 0.004
"""How often, and how far apart, a row is looked for whose values another request is just about to write."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]
Arguments = tuple[Argument, ...]


class BatchWriter:
    """One batch."""

    def __init__(self, transports: RedisTransports, session: BatchSession, work: Work) -> None:
        """Takes how to call a function that takes the longer the larger the batch is."""
        self.session = session
        self._transports = transports
        self._pipeline = BatchPipeline(transports.blocking, transports.key)
        self._work = work

    async def enter(self) -> None:
        """Enters a small batch, and finds out what was there before.

        Raises:
            RedisError, OSError: as all others here: Redis cannot be used.
        """
        while calls := await self._work(self.session.entry_calls):
            await self._work(self.session.receive_entries, [await self._reply(call) for call in calls])
        await self._look_for_values()

    async def read(self) -> None:
        """Reads all states of a large batch."""
        reading = self._begun(self._pipeline.read, self.session)
        await self._work(self.session.prepare)
        await self._work(self.session.receive_states, await reading)
        if doubts := self.session.type_checks():
            self.session.receive_type_checks(await self._begun(self._pipeline.scripts, COUNT_NON_STATES, doubts))

    async def enter_large(self) -> None:
        """Enters a large batch, whose values are computed meanwhile."""
        await self._begun(self._pipeline.enter, self.session)
        await self._look_for_values()

    async def keep(self, values: Values | None) -> None:
        """Writes the values, for repeats; or that there are none."""
        if arguments := await self._work(self.session.store_arguments, values):
            if self.session.large:
                await self._begun(self._pipeline.scripts, STORE_VALUES, [arguments])
            else:
                await self._transports.pool.run(STORE_VALUES, arguments)

    async def tidy(self) -> None:
        """What nobody waits for: long states, merged."""
        if arguments := await self._work(self.session.merge_arguments):
            await self._transports.pool.run(MERGE, arguments)

    async def _reply(self, call: Arguments) -> Reply:
        reply: Reply = await self._transports.pool.run(self._transports.key.guarded(ENTER), call)
        return reply

    def _begun(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Runs in a thread to its end, whatever becomes of who waits for it."""
        begun = asyncio.get_running_loop().run_in_executor(self._transports.threads, function, *arguments)
        begun.add_done_callback(seen)
        return begun

    async def _look_for_values(self) -> None:
        """Of rows that another request has just entered."""
        for _ in range(LOOKS):
            if not len(self.session.awaiting_values):
                return
            await asyncio.sleep(PROOF_TIMEOUT_SECONDS)
            self.session.retry_lookups()
            calls = await self._work(self.session.entry_calls)
            await self._work(self.session.receive_entries, [await self._reply(call) for call in calls])


def seen(done: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for its failure any more."""
    if not done.cancelled():
        done.exception()

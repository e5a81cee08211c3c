"""One batch of transactions on its way into Redis: what `history.session` asks, sent, and its replies brought back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import redis as blocking
from numpy.typing import NDArray

from gateway.history.pipeline import Exchange
from gateway.redis.circuit_breaker import CircuitBreaker
from gateway.redis.connection_pool import Lanes
from history.keyed_hash import HistoryKey
from history.redis_schema import ENTER, KEEP, MERGE, STRANGE, Argument
from history.session import Recall, Reply

LOOKS, PROOF_TIMEOUT_SECONDS = 5, 0.004
"""How often, and how far apart, a row is looked for whose values another request is just about to write."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]
Arguments = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Roads:
    """The ways to one Redis: lanes of the event loop for small batches; for large ones a blocking client and threads.

    The threads are no others' than these: while Redis hangs they hang, until the client's timeout. The breaker says
    whether there is a Redis to go to.

    Attributes:
        key: what the digests in this Redis must be made with; else every call is refused.
    """

    lanes: Lanes
    blocking: blocking.Redis
    threads: Executor
    breaker: CircuitBreaker
    key: HistoryKey


class Arrival:
    """One batch."""

    def __init__(self, roads: Roads, recall: Recall, work: Work) -> None:
        """Takes how to call a function that takes the longer the larger the batch is."""
        self.recall = recall
        self._roads = roads
        self._exchange = Exchange(roads.blocking, roads.key)
        self._work = work

    async def enter(self) -> None:
        """Enters a small batch, and finds out what was there before.

        Raises:
            RedisError, OSError: as all others here: Redis cannot be used.
        """
        while calls := await self._work(self.recall.entries):
            await self._work(self.recall.take, [await self._reply(call) for call in calls])
        await self._look_for_values()

    async def read(self) -> None:
        """Reads all states of a large batch."""
        reading = self._begun(self._exchange.read, self.recall)
        await self._work(self.recall.prepare)
        await self._work(self.recall.take_states, await reading)
        if doubts := self.recall.doubts():
            self.recall.take_doubts(await self._begun(self._exchange.scripts, STRANGE, doubts))

    async def enter_large(self) -> None:
        """Enters a large batch, whose values are computed meanwhile."""
        await self._begun(self._exchange.enter, self.recall)
        await self._look_for_values()

    async def keep(self, values: Values | None) -> None:
        """Writes the values, for repeats; or that there are none."""
        if arguments := await self._work(self.recall.kept, values):
            if self.recall.large:
                await self._begun(self._exchange.scripts, KEEP, [arguments])
            else:
                await self._roads.lanes.run(KEEP, arguments)

    async def tidy(self) -> None:
        """What nobody waits for: long states, merged."""
        if arguments := await self._work(self.recall.merges):
            await self._roads.lanes.run(MERGE, arguments)

    async def _reply(self, call: Arguments) -> Reply:
        reply: Reply = await self._roads.lanes.run(self._roads.key.guarded(ENTER), call)
        return reply

    def _begun(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        """Runs in a thread to its end, whatever becomes of who waits for it."""
        begun = asyncio.get_running_loop().run_in_executor(self._roads.threads, function, *arguments)
        begun.add_done_callback(seen)
        return begun

    async def _look_for_values(self) -> None:
        """Of rows that another request has just entered."""
        for _ in range(LOOKS):
            if not len(self.recall.pending):
                return
            await asyncio.sleep(PROOF_TIMEOUT_SECONDS)
            self.recall.look_again()
            calls = await self._work(self.recall.entries)
            await self._work(self.recall.take, [await self._reply(call) for call in calls])


def seen(done: asyncio.Future[Any]) -> None:
    """Nobody may be waiting for its failure any more."""
    if not done.cancelled():
        done.exception()

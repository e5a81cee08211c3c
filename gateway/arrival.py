"""One batch of transactions on its way into Redis: what `contract.recall` asks, sent, and its replies brought back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from contract.recall import Argument, Recall, Reply
from contract.remembered import ENTER, EXPIRE, KEEP, MERGE
from gateway.patience import within
from gateway.scripts import evaluated

IN_FLIGHT = 3
"""Blocks of a large file that are sent at a time: while Redis works on one, the next is on its way."""
LOOKS, LOOK_SECONDS = 5, 0.004
"""How often, and how far apart, a row is looked for whose values another request is just about to write."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]
Calls = Sequence[tuple[Argument, ...]]


class Arrival:
    """One batch.

    Attributes:
        steps: how far a large one has come: Redis is not silent while it grows.
    """

    def __init__(self, redis: Redis, recall: Recall, work: Work) -> None:
        """Takes how to call a function that takes the longer the larger the batch is."""
        self.recall = recall
        self.steps = 0
        self._redis = redis
        self._work = work

    async def enter(self, patience: float) -> None:
        """Enters a small batch, and finds out what was there before; it waits no longer than so many seconds.

        Raises:
            RedisError, OSError: that did not suffice, or Redis cannot be used.
        """
        async with within(patience):
            while calls := await self._work(self.recall.entries):
                await self._work(self.recall.take, [await self._entered(call) for call in calls])
            await self._look_for_values()

    async def read(self, patience: float) -> Calls:
        """Reads all states of a large batch, and makes the calls that will enter it meanwhile."""
        calls, _ = await asyncio.gather(self._work(self.recall.entries), self._read(patience))
        found: Calls = calls
        return found

    async def enter_blocks(self, calls: Calls, values_known: asyncio.Event) -> None:
        """Enters a large batch; the replies are taken when its values, which are computed meanwhile, are known."""
        while calls:
            replies = await self._side_by_side(calls)
            await values_known.wait()
            await self._work(self.recall.take, replies)
            calls = await self._work(self.recall.entries)
            self.steps += 1
        await self._look_for_values()

    async def keep(self, values: Values) -> None:
        """Writes the values, for repeats."""
        if arguments := await self._work(self.recall.kept, values):
            self.steps += 1
            await evaluated(self._redis, KEEP, arguments)

    async def tidy(self) -> None:
        """What nobody waits for: when its transactions are forgotten, and long states merged."""
        for arguments in await self._work(self.recall.expiries):
            await evaluated(self._redis, EXPIRE, arguments)
        if arguments := await self._work(self.recall.merges):
            await evaluated(self._redis, MERGE, arguments)

    async def _read(self, patience: float) -> None:
        """One call after the other, so that others come between; each has its own patience."""
        replies = []
        for call in self.recall.reads():
            async with within(patience):
                replies.append(await self._entered(call))
        await self._work(self.recall.take_states, replies)

    async def _side_by_side(self, calls: Calls) -> Sequence[Reply]:
        replies = list[Reply]()
        for at in range(0, len(calls), IN_FLIGHT):
            replies += await asyncio.gather(*map(self._entered, calls[at : at + IN_FLIGHT]))
        return replies

    async def _entered(self, call: tuple[Argument, ...]) -> Reply:
        reply: Reply = await evaluated(self._redis, ENTER, call)
        self.steps += 1
        return reply

    async def _look_for_values(self) -> None:
        """Of rows that another request has just entered."""
        for _ in range(LOOKS):
            if not len(self.recall.pending):
                return
            await asyncio.sleep(LOOK_SECONDS)
            self.recall.look_again()
            await self._work(self.recall.take, await self._side_by_side(self.recall.entries()))

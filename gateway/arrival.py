"""One batch of transactions on its way into Redis: what `contract.recall` asks, sent, and its replies brought back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from contract.recall import Recall, Reply
from contract.remembered import ENTER, KEEP, MERGE, Argument
from gateway.patience import within
from gateway.scripts import evaluated

IN_FLIGHT = 3
"""Blocks of a large file that are sent at a time: while Redis works on one, the next is on its way."""
LAST_PATIENCE = 1.0
"""Seconds, where nobody waits: the reply is given up long before."""
LOOKS, LOOK_SECONDS = 5, 0.004
"""How often, and how far apart, a row is looked for whose values another request is just about to write."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]
Arguments = tuple[Argument, ...]
Calls = Sequence[Arguments]


class Arrival:
    """One batch."""

    def __init__(self, redis: Redis, recall: Recall, work: Work) -> None:
        """Takes how to call a function that takes the longer the larger the batch is."""
        self.recall = recall
        self._out = 0
        self._since = 0.0
        self._redis = redis
        self._work = work

    def silent(self, patience: float) -> bool:
        """Whether Redis has been asked, and has said nothing for so many seconds."""
        return self._out > 0 and asyncio.get_running_loop().time() - self._since > patience

    async def enter(self, patience: float) -> None:
        """Enters a small batch, and finds out what was there before; each call has so many seconds.

        Raises:
            RedisError, OSError: they did not suffice, or Redis cannot be used.
        """
        while calls := await self._work(self.recall.entries):
            await self._work(self.recall.take, [await self._soon(call, patience) for call in calls])
        await self._look_for_values(patience)

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
        await self._look_for_values(LAST_PATIENCE)

    async def keep(self, values: Values) -> None:
        """Writes the values, for repeats."""
        if arguments := await self._work(self.recall.kept, values):
            await self._asked(KEEP, arguments)

    async def tidy(self) -> None:
        """What nobody waits for: long states, merged."""
        if arguments := await self._work(self.recall.merges):
            await evaluated(self._redis, MERGE, arguments)

    async def _read(self, patience: float) -> None:
        """One call after the other, so that others come between."""
        replies = [await self._soon(call, patience) for call in self.recall.reads()]
        await self._work(self.recall.take_states, replies)

    async def _soon(self, call: Arguments, patience: float) -> Reply:
        async with within(patience):
            return await self._asked(ENTER, call)

    async def _side_by_side(self, calls: Calls) -> Sequence[Reply]:
        replies = list[Reply]()
        for at in range(0, len(calls), IN_FLIGHT):
            replies += await asyncio.gather(*(self._asked(ENTER, call) for call in calls[at : at + IN_FLIGHT]))
        return replies

    async def _asked(self, script: str, arguments: Arguments) -> Reply:
        loop = asyncio.get_running_loop()
        self._out, self._since = self._out + 1, loop.time()
        try:
            reply: Reply = await evaluated(self._redis, script, arguments)
        finally:
            self._out, self._since = self._out - 1, loop.time()
        return reply

    async def _look_for_values(self, patience: float) -> None:
        """Of rows that another request has just entered."""
        for _ in range(LOOKS):
            if not len(self.recall.pending):
                return
            await asyncio.sleep(LOOK_SECONDS)
            self.recall.look_again()
            calls = await self._work(self.recall.entries)
            await self._work(self.recall.take, [await self._soon(call, patience) for call in calls])

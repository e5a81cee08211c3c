"""What came before each transaction, from Redis, and how it gets there. Nothing waits long for it or fails without.

A request enters its rows, sees what was there before, and goes on to the model; what is left to write is written
meanwhile and is there before the reply leaves, so that a repeat finds it. After a failure Redis is left alone for a
moment: requests then have a neutral past and say so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from contract.history import Plan
from contract.recall import Argument, Recall, Reply, Terms
from contract.remembered import ENTER, KEEP
from contract.schema import Contract, Kind
from contract.table import Table
from gateway.answers import Answers
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.patience import done_within, within
from gateway.scored import Scored
from gateway.scripts import evaluated
from gateway.serving import Serving

PATIENCE_SECONDS = 0.05
"""A request waits no longer for a Redis that is silent; its client's default would be minutes."""
REST_SECONDS = 1.0
"""After a failure, before Redis is asked again: of the requests meanwhile none waits."""
LOOKS, LOOK_SECONDS = 5, 0.004
"""How often, and how far apart, a row is looked for whose values another request is just about to write."""

Values = Mapping[str, NDArray[np.float64]]
Work = Callable[..., Awaitable[Any]]
Calls = Sequence[tuple[Argument, ...]]
NOTHING: Values = {}


@dataclass(frozen=True, slots=True)
class Remembering:
    """How transactions are remembered.

    Attributes:
        record: whether they are at all, unless a request says otherwise.
        known_seconds: how long one is not counted again.
        values_seconds: how long a repeat gets the same history values.
    """

    record: bool
    known_seconds: int
    values_seconds: int


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Rows whose past is asked for; `work` calls a function that takes the longer the more rows there are."""

    plan: Plan
    contract: Contract
    table: Table
    work: Work
    record: bool

    @property
    def ids(self) -> Sequence[str]:
        """The ids of the rows; a row without one is counted each time that it comes."""
        column = self.contract.first(Kind.ID)
        ids: list[str] = self.table.columns[column.name].tolist() if column else [""] * self.table.rows
        return ids


class Past:
    """The history of the rows of one request.

    Attributes:
        values: each history feature of each row, by name; shape (rows,) each.
        block: what Redis knows its new rows by; None where there are none.
        steps: how many calls to Redis have been answered since the values were known.
        degraded: whether Redis could not be used as it should, so that values are neutral or nothing was written.
    """

    def __init__(self, values: Values, *, degraded: bool = False) -> None:
        """Stands as it is, unless :meth:`finish` gives it more to do."""
        self.values = values
        self.degraded = degraded
        self.block: bytes | None = None
        self.steps = 0
        self._begin: Callable[[], asyncio.Task[bool]] | None = None

    def finish(self, begin: Callable[[], asyncio.Task[bool]]) -> None:
        """Takes how what is left to be written is begun, or that it has begun; it says whether the values stand."""
        self._begin = begin

    async def settled(self) -> bool:
        """Waits for what is left to be written, unless Redis falls silent; what is late then is written all the same.

        False where the values have changed: another gateway had some of the rows first.
        """
        if self._begin is None:
            return True
        work, self._begin, steps = self._begin(), None, -1
        while steps != self.steps:
            steps = self.steps
            if await done_within(PATIENCE_SECONDS, work):
                return work.result()
        self.degraded = True
        return True


class History:
    """The past of transactions."""

    def __init__(self, redis: Redis | None, remembering: Remembering, answers: Answers, metrics: Metrics) -> None:
        """Takes a client; None where no Redis is configured."""
        self._redis = redis
        self._remembering = remembering
        self._answers = answers
        self._metrics = metrics
        self._rests_until = 0.0
        self._tasks = set[asyncio.Task[bool]]()

    @property
    def degraded(self) -> bool:
        """Whether a request that comes now would have a neutral past."""
        return self._redis is None or time.monotonic() < self._rests_until

    async def past(self, serving: Serving, table: Table, work: Work, *, record: bool) -> Past:
        """The history of the rows of a table that the live contract has read; they are entered where `record` says so.

        `work` calls a function that takes the longer the more rows there are.
        """
        if serving.plan is None or not table.rows:
            return Past(NOTHING)
        asked = Asked(serving.plan, serving.model.contract, table, work, record and self._remembering.record)
        with self._metrics.stage("history"):
            past = await self._asked(asked)
        if past is None:
            self._metrics.history_degraded.inc()
            return Past(serving.plan.neutral(table.columns, table.rows), degraded=True)
        return past

    def answered(self, past: Past, scored: Scored) -> None:
        """Notes what was answered for the rows that entered, for what labels will say of it."""
        if past.block is not None:
            self._answers.add(past.block, scored)

    async def close(self) -> None:
        """Waits for what is still to be written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _asked(self, asked: Asked) -> Past | None:
        """None where Redis does not answer."""
        if self._redis is None or self.degraded:
            return None
        try:
            return await self._entered(self._redis, asked)
        except OutOfMemoryError as error:
            self._failed(error)
            return await self._only_seen(self._redis, asked)
        except (RedisError, OSError, ValueError) as error:
            self._failed(error)
            return None

    async def _entered(self, redis: Redis, asked: Asked) -> Past:
        work = asked.work
        recall = await work(Recall, asked.plan, asked.table, asked.ids, self._terms(record=asked.record))
        if reads := recall.reads():
            return await self._read_first(redis, recall, reads, work)
        await _enter(redis, recall, work)
        past = Past(await work(recall.values))
        # It begins when the request is on its way to the model, and not before: it would delay it.
        past.finish(lambda: self._begun(self._keep(redis, recall, past, work)))
        return past

    async def _read_first(self, redis: Redis, recall: Recall, reads: Calls, work: Work) -> Past:
        """A large batch: its values are known before it has entered."""
        await work(recall.take_states, await _replies(redis, reads))
        past = Past(NOTHING)
        computed = asyncio.Event()
        entering = self._begun(self._enter_later(redis, recall, past, work, computed))
        past.finish(lambda: entering)
        try:
            past.values = await work(recall.values)
        finally:
            computed.set()
        return past

    async def _only_seen(self, redis: Redis, asked: Asked) -> Past | None:
        """The past as it is, while Redis has no room for more."""
        try:
            past = await self._entered(redis, replace(asked, record=False))
        except (RedisError, OSError, ValueError) as error:
            self._failed(error)
            return None
        past.degraded = True
        return past

    async def _enter_later(self, redis: Redis, recall: Recall, past: Past, work: Work, computed: asyncio.Event) -> bool:
        """Enters the blocks of a large batch; False where rows turned out to be known, whose values are then others."""
        try:
            await self._enter_blocks(redis, recall, past, work, computed)
        except (RedisError, OSError, ValueError) as error:
            self._failed(error)
            past.degraded = True
            return True
        if recall.repeats:
            past.values = await work(recall.values)
        await self._keep(redis, recall, past, work)
        return not recall.repeats

    async def _enter_blocks(
        self, redis: Redis, recall: Recall, past: Past, work: Work, computed: asyncio.Event
    ) -> None:
        """One block after the other; the replies are taken when the values, which are computed meanwhile, are there."""
        while calls := await work(recall.entries):
            replies = []
            for arguments in calls:
                replies.append(await evaluated(redis, ENTER, arguments))
                past.steps += 1
            await computed.wait()
            await work(recall.take, replies)
        await _look_for_values(redis, recall, work)

    async def _keep(self, redis: Redis, recall: Recall, past: Past, work: Work) -> bool:
        past.block = recall.block if recall.new else None
        self._metrics.remembered(recall.new, recall.repeats)
        try:
            if arguments := await work(recall.kept, past.values):
                await evaluated(redis, KEEP, arguments)
        except (RedisError, OSError) as error:
            self._failed(error)
            past.degraded = True
        return True

    def _begun(self, work: Coroutine[None, None, bool]) -> asyncio.Task[bool]:
        """It goes on where the request fails or is given up: what has entered must be whole."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _terms(self, *, record: bool) -> Terms:
        return Terms(record, self._remembering.known_seconds, self._remembering.values_seconds, time.time())

    def _failed(self, error: Exception) -> None:
        if not self.degraded:
            log.warning("history not available", reason=type(error).__name__)
        self._rests_until = time.monotonic() + REST_SECONDS


async def _enter(redis: Redis, recall: Recall, work: Work) -> None:
    while calls := await work(recall.entries):
        await work(recall.take, await _replies(redis, calls))
    await _look_for_values(redis, recall, work)


async def _look_for_values(redis: Redis, recall: Recall, work: Work) -> None:
    """Of rows that another request has just entered."""
    for _ in range(LOOKS):
        if not len(recall.pending):
            return
        await asyncio.sleep(LOOK_SECONDS)
        recall.look_again()
        await work(recall.take, await _replies(redis, recall.entries()))


async def _replies(redis: Redis, calls: Calls) -> Sequence[Reply]:
    """One call after the other, so that a Redis which falls silent is noticed, and others come between."""
    return [await within(PATIENCE_SECONDS, evaluated(redis, ENTER, arguments)) for arguments in calls]

"""What came before each transaction, from Redis, and how it gets there. Nothing waits long for it or fails without.

A request enters its rows, sees what was there before, and goes on to the model; a large one enters while the model
scores. The values are written for repeats meanwhile, and all is there before the reply leaves. While Redis is not
there, requests do not ask it (`gateway.redis.circuit_breaker`): they have a neutral past and say so.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import OutOfMemoryError, RedisError

from contract.schema import Contract, Kind
from contract.table import Table
from gateway.history.answers import Answers
from gateway.history.batch_writer import Arrival, Roads, Values, Work, seen
from gateway.history.key_agreement import KeyAgreement
from gateway.history.watch import HistoryWatch
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import ServingVersions
from history.keyed_hash import HistoryKey
from history.plan import Plan
from history.session import Recall, Terms

TURNS = 3
"""Of the event loop, in which the request to the model goes out before anything is written."""

NOTHING: Values = {}
NOT_THERE = (RedisError, OSError, ValueError)
"""How it shows that Redis cannot be used."""


@dataclass(frozen=True, slots=True)
class Remembering:
    """How transactions are remembered.

    Attributes:
        record: whether they are at all, whatever a request says.
        known_seconds: how long one is not counted again.
        values_seconds: how long a repeat gets the same history values.
        key: what ids and entities are hashed with.
    """

    record: bool
    known_seconds: int
    values_seconds: int
    key: HistoryKey


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Rows whose past is asked for, and whether they enter.

    `work` calls a function that takes the longer the more rows there are.
    """

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
        arrival: their way into Redis; None where they have none.
        degraded: whether Redis could not be used as it should, so that values are neutral or nothing was written; or
            whether it has not the history that it should have.
        falls_short: whether the values are of less history than there should be: no repeat is to get them.
    """

    def __init__(self, values: Values, *, degraded: bool = False) -> None:
        """Stands as it is, unless :meth:`write` gives it something to wait for."""
        self.values = values
        self.degraded = degraded
        self.falls_short = False
        self.arrival: Arrival | None = None
        self._writing: asyncio.Task[bool] | None = None

    def judge(self, recall: Recall, *, short: bool) -> None:
        """Takes what was met on the way, and whether the history falls short: once it is known, it stays so."""
        self.falls_short |= short or recall.unusable > 0
        self.degraded |= self.falls_short or recall.muddled or len(recall.pending) > 0

    def write(self, arrival: Arrival, writing: asyncio.Task[bool]) -> None:
        """Takes what enters the rows of a large batch and writes the values; it says whether these stand."""
        self.arrival, self._writing = arrival, writing

    async def settled(self, seconds: float | None = None) -> bool:
        """Waits until all is written, or Redis cannot be used; what takes longer is written all the same.

        False where the values have changed: another gateway had some of the rows first.
        """
        if self._writing is None:
            return True
        writing, self._writing = self._writing, None
        if not (await asyncio.wait({writing}, timeout=seconds))[0]:
            self.degraded = True
            return True
        return writing.result()


class History:
    """The past of transactions."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a past needs of each side
        self,
        roads: Roads | None,
        watch: HistoryWatch,
        remembering: Remembering,
        answers: Answers,
        metrics: Metrics,
        agreement: KeyAgreement,
    ) -> None:
        """Takes the ways to Redis; None where none is configured."""
        self._roads = roads
        self._watch = watch
        self._agreement = agreement
        self._remembering = remembering
        self._answers = answers
        self._metrics = metrics
        self._tasks = set[asyncio.Task[Any]]()

    @property
    def degraded(self) -> bool:
        """Whether a request that comes now would have a neutral past."""
        return self._roads is None or self._agreement.refused or self._roads.breaker.open

    async def past(
        self, serving: ServingVersions, table: Table, work: Work, *, record: bool, seconds: float | None = None
    ) -> Past:
        """The history of the rows of a table that the live contract has read; they enter where `record` says so.

        Every feature has a column, of a table without rows too: the model's matrix is made of them all.
        `work` calls a function that takes the longer the more rows there are. What takes more than so many seconds,
        however much Redis says meanwhile, is given up: the model needs time too.
        """
        if serving.plan is None:
            return Past(NOTHING)
        if not table.rows:  # Nothing to ask Redis for.
            return Past(serving.plan.neutral(table.columns, 0))
        await self._watch.first_look()
        record &= self._remembering.record and self._watch.is_settled
        asked = Asked(serving.plan, serving.model.contract, table, work, record)
        with self._metrics.stage("history"):
            past = await self._in_time(asked, seconds)
        if past is None:
            return Past(serving.plan.neutral(table.columns, table.rows), degraded=True)
        return past

    def answered(self, past: Past, scored: ScoreResult) -> None:
        """Notes what was answered for the rows that entered, for what labels will say of it."""
        if past.arrival is not None and past.arrival.recall.new:
            self._answers.add(past.arrival.recall.block, scored)

    async def close(self) -> None:
        """Waits for what is still to be written, and what that begins."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_time(self, asked: Asked, seconds: float | None) -> Past | None:
        """None where Redis does not answer, or not in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(asked)
        except TimeoutError:
            log.warning("history too slow")
            return None

    async def _asked(self, asked: Asked) -> Past | None:
        """None where Redis does not answer."""
        if self._roads is None or self.degraded:
            return None
        try:
            return await self._entered(self._roads, asked)
        except OutOfMemoryError as error:
            self._failed(error)
            return await self._only_seen(self._roads, asked)
        except NOT_THERE as error:
            self._failed(error)
            return None

    async def _entered(self, roads: Roads, asked: Asked) -> Past:
        recall = await asked.work(Recall, asked.plan, asked.table, asked.ids, self._terms(record=asked.record))
        arrival = Arrival(roads, recall, asked.work)
        if recall.large:
            return await self._read_first(arrival, asked)
        await arrival.enter()
        past = Past(await asked.work(recall.values))
        self._judge(past, recall, asked)
        past.write(arrival, self._begun(self._kept(arrival, past)))
        return past

    async def _read_first(self, arrival: Arrival, asked: Asked) -> Past:
        """A large batch: its values are known before it has entered."""
        await arrival.read()
        past = Past(NOTHING)
        self._judge(past, arrival.recall, asked)

        async def compute() -> None:
            past.values = await asked.work(arrival.recall.values)

        computing = self._begun(compute())

        async def enter() -> None:
            await arrival.enter_large()
            await computing
            if arrival.recall.repeats:
                past.values = await asked.work(arrival.recall.values)
            self._judge(past, arrival.recall, asked)

        past.write(arrival, self._begun(self._kept(arrival, past, enter)))
        await asyncio.shield(computing)
        return past

    def _judge(self, past: Past, recall: Recall, asked: Asked) -> None:
        short = self._watch.falls_short(recall.epoch, asked.contract, loading=recall.loading)
        past.judge(recall, short=short)

    async def _only_seen(self, roads: Roads, asked: Asked) -> Past | None:
        """The past as it is, while Redis has no room for more."""
        try:
            past = await self._entered(roads, replace(asked, record=False))
        except NOT_THERE as error:
            self._failed(error)
            return None
        past.degraded = True
        return past

    async def _kept(
        self, arrival: Arrival, past: Past, enter: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> bool:
        """Writes the values; before that it enters what has not entered yet, which may change them."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        try:
            if enter is not None:
                await enter()
            await arrival.keep(None if past.falls_short else past.values)
        except NOT_THERE as error:
            self._failed(error)
            past.degraded = True
            return True
        finally:
            if arrival.recall.entered:
                self._begun(self._tidied(arrival))
        self._metrics.remembered(arrival.recall.new, arrival.recall.repeats)
        return enter is None or not arrival.recall.repeats

    async def _tidied(self, arrival: Arrival) -> None:
        try:
            await arrival.tidy()
        except NOT_THERE as error:
            self._failed(error)

    def _begun(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """It goes on where the request fails or is given up: what has entered must be whole."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(seen)
        return task

    def _terms(self, *, record: bool) -> Terms:
        chosen = self._remembering
        return Terms(record, chosen.known_seconds, chosen.values_seconds, time.time(), chosen.key)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, OutOfMemoryError):
            self._watch.refused()
        if self._roads is None or self._roads.breaker.open:
            return
        log.warning("history not available", reason=type(error).__name__)
        self._roads.breaker.failed(error)

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
from gateway.history.answers import AnswerWriter
from gateway.history.batch_writer import BatchWriter, Values, Work, seen
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import ServingVersions
from gateway.redis.transports import RedisTransports
from history.plan import Plan
from history.session import BatchSession, HistoryOptions

TURNS = 3
"""Of the event loop, in which the request to the model goes out before anything is written."""

NOTHING: Values = {}
NOT_THERE = (RedisError, OSError, ValueError)
"""How it shows that Redis cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class HistoryRequest:
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


class RequestHistory:
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
        self.arrival: BatchWriter | None = None
        self._writing: asyncio.Task[bool] | None = None

    def judge(self, session: BatchSession, *, short: bool) -> None:
        """Takes what was met on the way, and whether the history falls short: once it is known, it stays so."""
        self.falls_short |= short or session.unreadable_states > 0
        self.degraded |= self.falls_short or session.inexact or len(session.awaiting_values) > 0

    def write(self, arrival: BatchWriter, writing: asyncio.Task[bool]) -> None:
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
        transports: RedisTransports | None,
        watch: HistoryMonitor,
        remembering: HistoryOptions,
        answers: AnswerWriter,
        metrics: Metrics,
        agreement: KeyMonitor,
    ) -> None:
        """Takes the transports to Redis; None where none is configured."""
        self._transports = transports
        self._watch = watch
        self._agreement = agreement
        self._remembering = remembering
        self._answers = answers
        self._metrics = metrics
        self._tasks = set[asyncio.Task[Any]]()

    @property
    def degraded(self) -> bool:
        """Whether a request that comes now would have a neutral past."""
        return self._transports is None or self._agreement.refused or self._transports.breaker.open

    async def past(
        self, serving: ServingVersions, table: Table, work: Work, *, record: bool, seconds: float | None = None
    ) -> RequestHistory:
        """The history of the rows of a table that the live contract has read; they enter where `record` says so.

        Every feature has a column, of a table without rows too: the model's matrix is made of them all.
        `work` calls a function that takes the longer the more rows there are. What takes more than so many seconds,
        however much Redis says meanwhile, is given up: the model needs time too.
        """
        if serving.plan is None:
            return RequestHistory(NOTHING)
        if not table.rows:  # Nothing to ask Redis for.
            return RequestHistory(serving.plan.default_values(table.columns, 0))
        await self._watch.first_look()
        record &= self._remembering.record and self._watch.is_settled
        asked = HistoryRequest(serving.plan, serving.model.contract, table, work, record)
        with self._metrics.stage("history"):
            past = await self._in_time(asked, seconds)
        if past is None:
            return RequestHistory(serving.plan.default_values(table.columns, table.rows), degraded=True)
        return past

    def answered(self, past: RequestHistory, scored: ScoreResult) -> None:
        """Notes what was answered for the rows that entered, for what labels will say of it."""
        if past.arrival is not None and past.arrival.session.entered_count:
            self._answers.add(past.arrival.session.block_id, scored)

    async def close(self) -> None:
        """Waits for what is still to be written, and what that begins."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_time(self, asked: HistoryRequest, seconds: float | None) -> RequestHistory | None:
        """None where Redis does not answer, or not in time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._asked(asked)
        except TimeoutError:
            log.warning("history too slow")
            return None

    async def _asked(self, asked: HistoryRequest) -> RequestHistory | None:
        """None where Redis does not answer."""
        if self._transports is None or self.degraded:
            return None
        try:
            return await self._entered(self._transports, asked)
        except OutOfMemoryError as error:
            self._failed(error)
            return await self._only_seen(self._transports, asked)
        except NOT_THERE as error:
            self._failed(error)
            return None

    async def _entered(self, transports: RedisTransports, asked: HistoryRequest) -> RequestHistory:
        options = replace(self._remembering, record=asked.record)
        session = await asked.work(BatchSession, asked.plan, asked.table, asked.ids, options, time.time())
        arrival = BatchWriter(transports, session, asked.work)
        if session.large:
            return await self._read_first(arrival, asked)
        await arrival.enter()
        past = RequestHistory(await asked.work(session.values))
        self._judge(past, session, asked)
        past.write(arrival, self._begun(self._kept(arrival, past)))
        return past

    async def _read_first(self, arrival: BatchWriter, asked: HistoryRequest) -> RequestHistory:
        """A large batch: its values are known before it has entered."""
        await arrival.read()
        past = RequestHistory(NOTHING)
        self._judge(past, arrival.session, asked)

        async def compute() -> None:
            past.values = await asked.work(arrival.session.values)

        computing = self._begun(compute())

        async def enter() -> None:
            await arrival.enter_large()
            await computing
            if arrival.session.repeats:
                past.values = await asked.work(arrival.session.values)
            self._judge(past, arrival.session, asked)

        past.write(arrival, self._begun(self._kept(arrival, past, enter)))
        await asyncio.shield(computing)
        return past

    def _judge(self, past: RequestHistory, session: BatchSession, asked: HistoryRequest) -> None:
        short = self._watch.falls_short(session.epoch, asked.contract, loading=session.loading)
        past.judge(session, short=short)

    async def _only_seen(self, transports: RedisTransports, asked: HistoryRequest) -> RequestHistory | None:
        """The past as it is, while Redis has no room for more."""
        try:
            past = await self._entered(transports, replace(asked, record=False))
        except NOT_THERE as error:
            self._failed(error)
            return None
        past.degraded = True
        return past

    async def _kept(
        self, arrival: BatchWriter, past: RequestHistory, enter: Callable[[], Coroutine[Any, Any, None]] | None = None
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
            if arrival.session.has_entered:
                self._begun(self._tidied(arrival))
        self._metrics.remembered(arrival.session.entered_count, arrival.session.repeats)
        return enter is None or not arrival.session.repeats

    async def _tidied(self, arrival: BatchWriter) -> None:
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

    def _failed(self, error: Exception) -> None:
        if isinstance(error, OutOfMemoryError):
            self._watch.refused()
        if self._transports is None or self._transports.breaker.open:
            return
        log.warning("history not available", reason=type(error).__name__)
        self._transports.breaker.failed(error)

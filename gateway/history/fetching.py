"""The history features of each request, from Redis. No request waits long for them or fails without them.

A small batch enters, gets its values, and goes on to the model; a large one enters while the model scores. The values
are stored for repeats meanwhile, and everything is written before the reply leaves. While Redis is not available,
requests do not ask it (`gateway.redis.circuit_breaker`): they have default values and say so.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redis.exceptions import OutOfMemoryError

from contract.schema import Contract, Kind
from contract.table import Table
from gateway.history.answer_writer import AnswerWriter
from gateway.history.batch_writer import TURNS, BatchWriter, Values, Work, consume_exception
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import REDIS_ERRORS, HistoryMonitor
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import ServingVersions
from gateway.redis.transports import RedisTransports
from history.layout import Rows
from history.plan import Plan
from history.session import NO_ROWS, BatchSession, HistoryOptions

NO_VALUES: Values = {}


@dataclass(frozen=True, slots=True, eq=False)
class HistoryRequest:
    """Rows whose history is needed, and whether they enter.

    Attributes:
        work: calls a function that takes the longer the more rows there are.
        record: whether the rows enter.
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
        writer: by which the rows enter Redis; None where they do not.
        degraded: whether Redis could not be used as it should, so that values are defaults or nothing was written; or
            whether its history is incomplete.
        incomplete: whether the values are of an incomplete history: repeats must not get them.
        new_entities: columns of entities all of which are new, and how many rows have one, by name.
    """

    def __init__(self, values: Values, *, degraded: bool = False) -> None:
        """Takes final values; :meth:`start_writing` says what else must happen before the reply."""
        self.values = values
        self.degraded = degraded
        self.incomplete = False
        self.new_entities: Mapping[str, int] = {}
        self.writer: BatchWriter | None = None
        self._writing: asyncio.Task[bool] | None = None

    def start_writing(self, writer: BatchWriter, writing: asyncio.Task[bool]) -> None:
        """Takes the task that enters a large batch and stores the values; its result is whether these are final."""
        self.writer, self._writing = writer, writing

    @property
    def reused_ids(self) -> Rows:
        """The rows whose id another transaction had before, as far as that is known: once all is written."""
        known = self.writer is not None and self.writer.session.repeats > 0
        return self.writer.session.reused_ids if self.writer and known else NO_ROWS

    async def wait_written(self, deadline: float) -> bool:
        """Waits until all is written, or Redis cannot be used; after the deadline writing goes on in the background.

        False where the values have changed: another gateway entered some of the rows first. `deadline` is a time of the
        event loop.
        """
        if self._writing is None:
            return True
        writing, self._writing = self._writing, None
        if not writing.done():
            await asyncio.wait({writing}, timeout=deadline - asyncio.get_running_loop().time())
        if not writing.done():
            self.degraded = True
            return True
        return writing.result()


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Fetches the history of requests, and enters their rows; without transports to Redis all values are defaults."""

    _transports: RedisTransports | None
    _monitor: HistoryMonitor
    _options: HistoryOptions
    _answers: AnswerWriter
    _metrics: Metrics
    _key_monitor: KeyMonitor
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    @property
    def degraded(self) -> bool:
        """Whether a request that comes now would have default values."""
        return self._transports is None or self._key_monitor.refused or self._transports.breaker.open

    async def fetch(
        self, serving: ServingVersions, table: Table, work: Work, *, record: bool, timeout_seconds: float | None = None
    ) -> RequestHistory:
        """The history of the rows of a table that the live contract has read.

        Args:
            serving: the live version, and the plan of all versions.
            table: of a table without rows too every feature has a column: the model's matrix is made of them all.
            work: calls a function that takes the longer the more rows there are.
            record: whether the rows enter.
            timeout_seconds: after which Redis is given up, however much it has answered: the model needs time too.
        """
        if serving.plan is None:
            return RequestHistory(NO_VALUES)
        if not table.rows:  # Nothing to ask Redis for.
            return RequestHistory(serving.plan.default_values(table.columns, 0))
        await self._monitor.wait_first_check()
        record &= self._options.record and self._monitor.is_epoch_known
        request = HistoryRequest(serving.plan, serving.model.contract, table, work, record)
        with self._metrics.stage("history"):
            history = await self._fetch_in_time(request, timeout_seconds)
        if history is None:
            return RequestHistory(serving.plan.default_values(table.columns, table.rows), degraded=True)
        return history

    def record_answers(self, history: RequestHistory, result: ScoreResult) -> None:
        """Has the answers stored for the rows that entered, against which labels are counted; and long states merged.

        A batch that is not answered merges none: the next one that reads such a state does.
        """
        if history.writer is None or not history.writer.session.has_entered:
            return
        if history.writer.session.entered_count:
            self._answers.add(history.writer.session.block_id, result)
        self._start(self._merge_states(history.writer))

    async def close(self) -> None:
        """Waits for all background work, and what that starts."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fetch_in_time(self, request: HistoryRequest, timeout_seconds: float | None) -> RequestHistory | None:
        """None where Redis does not answer, or not in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._fetch(request)
        except TimeoutError:
            log.warning("history too slow")
            return None

    async def _fetch(self, request: HistoryRequest) -> RequestHistory | None:
        """None where Redis cannot be used; while it is full, history is read and nothing enters."""
        if self._transports is None or self.degraded:
            return None
        try:
            return await self._enter(self._transports, request)
        except REDIS_ERRORS as error:
            self._handle_failure(error)
            if not (request.record and isinstance(error, OutOfMemoryError)):
                return None
        history = await self._fetch(replace(request, record=False))
        if history is not None:
            history.degraded = True
        return history

    async def _enter(self, transports: RedisTransports, request: HistoryRequest) -> RequestHistory:
        options = replace(self._options, record=request.record)
        session = await request.work(BatchSession, request.plan, request.table, request.ids, options, time.time())
        writer = BatchWriter(transports, session, request.work)
        if session.large:
            return await self._enter_large(writer, request)
        await writer.enter()
        history = RequestHistory(await request.work(session.values))
        self._update_status(history, session, request)
        history.new_entities = session.new_entities
        history.start_writing(writer, self._start(self._store_values(writer, history)))
        return history

    async def _enter_large(self, writer: BatchWriter, request: HistoryRequest) -> RequestHistory:
        """The values of a large batch are returned before it has entered."""
        session = writer.session
        await writer.read()
        history = RequestHistory(NO_VALUES)
        self._update_status(history, session, request)
        history.new_entities = session.new_entities

        async def compute() -> Values:
            history.values = await request.work(session.values)
            return history.values

        computing = self._start(compute())

        async def enter() -> None:
            await writer.enter_large(computing)
            if session.repeats:
                await compute()
            self._update_status(history, session, request)

        history.start_writing(writer, self._start(self._store_values(writer, history, enter)))
        await asyncio.shield(computing)
        return history

    def _update_status(self, history: RequestHistory, session: BatchSession, request: HistoryRequest) -> None:
        """Notes what the session met, and whether Redis' history is incomplete; a fault is never taken back."""
        incomplete = self._monitor.is_incomplete(session.epoch, request.contract, loading=session.loading)
        history.incomplete |= incomplete or session.unreadable_states > 0
        history.degraded |= history.incomplete or session.inexact or len(session.awaiting_values) > 0

    async def _store_values(
        self,
        writer: BatchWriter,
        history: RequestHistory,
        enter: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> bool:
        """Stores the values, after entering what has not entered yet; whether the values that were used are final."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        try:
            if enter is not None:
                await enter()
            await writer.store_values(None if history.incomplete else history.values)
        except REDIS_ERRORS as error:
            self._handle_failure(error)
            history.degraded = True
            return True
        self._metrics.history_rows(writer.session.entered_count, writer.session.repeats)
        return enter is None or not writer.session.repeats

    async def _merge_states(self, writer: BatchWriter) -> None:
        try:
            await writer.merge_states()
        except REDIS_ERRORS as error:
            self._handle_failure(error)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts work that goes on where the request fails or is given up: what has entered must be whole."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(consume_exception)
        return task

    def _handle_failure(self, error: Exception) -> None:
        if isinstance(error, OutOfMemoryError):
            self._monitor.report_out_of_memory()
        if self._transports is None or self._transports.breaker.open:
            return
        log.warning("history not available", reason=type(error).__name__)
        self._transports.breaker.failed(error)

"""Receives labels: which transactions were fraud, known days after they were scored.

They are stored in Redis alone, and accepted only once Redis has replied: no label is lost without an error. What was
stored before a failure stays, and sent again it changes nothing.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from contract.faults import Fault
from contract.schema import Column, Kind
from gateway.http.problems import LabelsNotTaken, NotRemembered
from gateway.labels.parsing import Labels, read_labels
from gateway.logs import log
from gateway.models.model_tracker import ModelTracker
from gateway.redis.scripts import run_script
from gateway.requests.payload import OnError, Payload
from history.keyed_hash import REFUSED, HistoryKey
from history.known_ids import FIND_TRANSACTIONS
from history.label_update import LABELS_PER_UPDATE, UPDATE_LABELS, LabelUpdate
from history.plan import Plan

MAX_ROUNDS = 20
"""Of an update, whose transactions other gateways change at the same time."""
SEND_AGAIN = "Some may have been taken. Send the same again, in smaller parts if it is a large file."
OTHER_KEY = "What Redis remembers is of another HISTORY_KEY than this gateway has, or moves to it just now."
NO_LABELS = np.empty(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class LabelReceipt:
    """What became of the labels of one request.

    Attributes:
        labels: rows that were received, skipped ones included.
        accepted: of them, those whose transaction is known.
        changed: transactions that have another label now.
        unknown: numbers of the rows whose transaction is not known, ascending.
        faults: of the rows that were skipped.
        skipped: how many these are.
    """

    labels: int
    accepted: int
    changed: int
    unknown: NDArray[np.int64]
    faults: Sequence[Fault]
    skipped: int


@dataclass(frozen=True, slots=True, eq=False)
class LabelReceiver:
    """Receives labels and stores them by a client with a timeout of its own; None where no Redis is configured."""

    _tracker: ModelTracker
    _redis: Redis | None
    _key: HistoryKey
    _deadline_seconds: float

    async def receive(self, payload: Payload, on_error: OnError) -> LabelReceipt:
        """Stores the labels of a request.

        Raises:
            Problem: they are at fault, or cannot be stored now.
        """
        plan, column, identity = self._remembered()
        labels = await payload.work(read_labels, payload, column.time_format, on_error, identity.match)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                updates = [await self._update(payload, plan, labels, rows) for rows in _slices(len(labels.ids))]
        except (RedisError, OSError, ValueError) as error:
            log.warning("labels not taken", reason=type(error).__name__)
            raise LabelsNotTaken(SEND_AGAIN) from None
        return _receipt(labels, updates)

    def _remembered(self) -> tuple[Plan, Column, Column]:
        """The plan of the states that labels change, the transactions' time, and their id; else NotRemembered."""
        serving = self._tracker.serving
        contract, plan = serving.model.contract, serving.plan
        if plan is None or contract.time is None:
            raise NotRemembered("The live model has no history: transactions are not remembered.")
        identity = contract.first(Kind.ID)
        if identity is None:
            raise NotRemembered("The live model's transactions have no id to find them by.")
        if self._redis is None:
            raise NotRemembered("No Redis is configured: transactions are not remembered.")
        return plan, contract.time, identity

    async def _update(self, payload: Payload, plan: Plan, labels: Labels, rows: slice) -> LabelUpdate:
        """Reads and changes until nothing is left to do, or other gateways changed the same in each of MAX_ROUNDS."""
        assert self._redis  # noqa: S101 - `_remembered` has refused; mypy cannot see it.
        digests = self._key.transactions.digests(labels.ids[rows])
        update = LabelUpdate(plan, digests, labels.frauds[rows], labels.confirmed[rows], time.time())
        for _ in range(MAX_ROUNDS):
            if await _run_round(self._redis, self._key, payload, update):
                return update
        raise LabelsNotTaken(SEND_AGAIN)


async def _run_round(redis: Redis, key: HistoryKey, payload: Payload, update: LabelUpdate) -> bool:
    """Reads and changes once; whether nothing is left to do."""
    if not (arguments := update.find_arguments()):
        return True
    try:
        found = await run_script(redis.execute_command, key.guarded(FIND_TRANSACTIONS), arguments)
    except ResponseError as error:
        if str(error).startswith(REFUSED):  # No transaction would be found by this key's digests.
            raise LabelsNotTaken(OTHER_KEY) from None
        raise
    await payload.work(update.receive_transactions, found)
    async with redis.pipeline(transaction=False) as pipeline:
        for month, transaction in update.stored_label_reads():
            pipeline.hget(month, transaction)  # type: ignore[arg-type]
        update.receive_stored_labels(await pipeline.execute())
    if arguments := await payload.work(update.arguments):
        update.receive_conflicts(await run_script(redis.execute_command, key.guarded(UPDATE_LABELS), arguments))
    return not update.find_arguments()


def _slices(labels: int) -> list[slice]:
    return [slice(begin, begin + LABELS_PER_UPDATE) for begin in range(0, labels, LABELS_PER_UPDATE)]


def _receipt(labels: Labels, updates: Sequence[LabelUpdate]) -> LabelReceipt:
    is_unknown = np.concatenate([update.unknown for update in updates])[labels.codes] if updates else NO_LABELS
    return LabelReceipt(
        labels=labels.rows,
        accepted=int((~is_unknown).sum()),
        changed=sum(int(update.changed.sum()) for update in updates),
        unknown=labels.numbers[is_unknown],
        faults=labels.faults,
        skipped=labels.rows - len(labels.codes),
    )

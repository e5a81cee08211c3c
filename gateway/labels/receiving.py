"""Labels that come in: which transactions were fraud, days after they were scored.

They go to Redis alone, and are taken when it says so: a label must not be lost in silence. What was taken before a
failure stays, and sent again it changes nothing.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.faults import Fault
from contract.schema import Column, Kind
from gateway.http.problems import LabelsNotTaken, NotRemembered
from gateway.labels.reading import Labels, read_labels
from gateway.logs import log
from gateway.models.model_tracker import ModelTracker
from gateway.redis.scripts import evaluated
from gateway.requests.payload import OnError, Payload
from history.keyed_hash import KEY_CHECK, HistoryKey
from history.labels import LABELS_PER_UPDATE, UPDATE_LABELS, LabelUpdate
from history.plan import Plan

TRIES = 20
"""How often a block is looked at that others change at the same time."""
SEND_AGAIN = "Some may have been taken. Send the same again, in smaller parts if it is a large file."
OTHER_KEY = "What Redis remembers is of another HISTORY_KEY than this gateway has, or moves to it just now."
NONE = np.empty(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What became of labels.

    Attributes:
        labels: rows that came in, skipped ones included.
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


class LabelReceiver:
    """Takes labels."""

    def __init__(self, live: ModelTracker, redis: Redis | None, key: HistoryKey, deadline_seconds: float) -> None:
        """Takes a client with a timeout of its own, None where no Redis is configured, and what ids are hashed with."""
        self._live = live
        self._redis = redis
        self._key = key
        self._deadline_seconds = deadline_seconds

    async def take(self, given: Payload, on_error: OnError) -> Taken:
        """Takes labels.

        Raises:
            Problem: they are at fault, or cannot be taken.
        """
        plan, column = self._remembered()
        labels = await given.work(read_labels, given, column.time_format, on_error)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                blocks = [await self._block(given, plan, labels, rows) for rows in _blocks(len(labels.ids))]
        except (RedisError, OSError, ValueError) as error:
            log.warning("labels not taken", reason=type(error).__name__)
            raise LabelsNotTaken(SEND_AGAIN) from None
        return _taken(labels, blocks)

    def _remembered(self) -> tuple[Plan, Column]:
        """What is remembered of transactions, and their time.

        Raises:
            NotRemembered: nothing.
        """
        serving = self._live.serving
        contract, plan = serving.model.contract, serving.plan
        if plan is None or contract.time is None:
            raise NotRemembered("The live model has no history: transactions are not remembered.")
        if contract.first(Kind.ID) is None:
            raise NotRemembered("The live model's transactions have no id to find them by.")
        if self._redis is None:
            raise NotRemembered("No Redis is configured: transactions are not remembered.")
        return plan, contract.time

    async def _block(self, given: Payload, plan: Plan, labels: Labels, rows: slice) -> LabelUpdate:
        """Looks, and changes what is still as it was seen, until nothing is left to do.

        Raises:
            LabelsNotTaken: others change the same transactions again and again.
        """
        assert self._redis  # noqa: S101 - `_remembered` has refused; mypy cannot see it.
        digests = self._key.transactions.digests(labels.ids[rows])
        update = LabelUpdate(plan, digests, labels.frauds[rows], labels.confirmed[rows], time.time())
        for _ in range(TRIES):
            if await _done(self._redis, self._key, given, update):
                return update
        raise LabelsNotTaken(SEND_AGAIN)


async def _done(redis: Redis, key: HistoryKey, given: Payload, update: LabelUpdate) -> bool:
    """One round: whether nothing is left to do.

    Raises:
        LabelsNotTaken: Redis knows transactions by digests of another key, so that none would be found.
    """
    check, *records = await redis.mget([KEY_CHECK, *update.record_keys()])
    if check != key.check:
        raise LabelsNotTaken(OTHER_KEY)
    await given.work(update.receive_records, records)
    async with redis.pipeline(transaction=False) as pipeline:
        for month, transaction in update.stored_label_reads():
            pipeline.hget(month, transaction)  # type: ignore[arg-type]
        update.receive_stored_labels(await pipeline.execute())
    if arguments := await given.work(update.arguments):
        update.receive_conflicts(await evaluated(redis, key.guarded(UPDATE_LABELS), arguments))
    return not update.record_keys()


def _blocks(labels: int) -> list[slice]:
    return [slice(begin, begin + LABELS_PER_UPDATE) for begin in range(0, labels, LABELS_PER_UPDATE)]


def _taken(labels: Labels, blocks: Sequence[LabelUpdate]) -> Taken:
    nowhere = np.concatenate([block.unknown for block in blocks])[labels.codes] if blocks else NONE
    return Taken(
        labels=labels.rows,
        accepted=int((~nowhere).sum()),
        changed=sum(int(block.changed.sum()) for block in blocks),
        unknown=labels.numbers[nowhere],
        faults=labels.faults,
        skipped=labels.rows - len(labels.codes),
    )

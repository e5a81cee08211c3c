"""Receives labels: which transactions were fraud, known days after they were scored.

They are stored in Redis alone, and accepted only once Redis has replied: no label is lost without an error. What was
stored before a failure stays, and sent again it changes nothing.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from contract.faults import Fault, FaultCode
from contract.hints import hint_of
from contract.schema import Contract, Kind
from gateway.http.problems import LabelsNotTaken, NotRemembered
from gateway.labels.parsing import CONFIRMED, Labels, read_labels, refuse_faults
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
        plan, contract = self._remembered()
        labels = await payload.work(read_labels, payload, contract, on_error)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                # Only Redis knows the times of transactions, and nothing may be changed before all are known.
                waits = on_error is OnError.REFUSE and bool(np.isfinite(labels.confirmed).any())
                updates = [
                    await (self._found(payload, update) if waits else self._updated(payload, update))
                    for update in self._updates(plan, labels)
                ]
                refuse_faults(_early_faults(labels, [update.early for update in updates]), on_error)
                for update in updates if waits else ():
                    await self._change(payload, update)
                    await self._updated(payload, update)
        except (RedisError, OSError, ValueError) as error:
            log.warning("labels not taken", reason=type(error).__name__)
            raise LabelsNotTaken(SEND_AGAIN) from None
        return _receipt(labels, updates)

    def _remembered(self) -> tuple[Plan, Contract]:
        """The plan of the states that labels change, and the contract of their transactions.

        Raises:
            NotRemembered: no transaction is remembered that a label could be for.
        """
        serving = self._tracker.serving
        contract, plan = serving.model.contract, serving.plan
        if plan is None or contract.time is None:
            raise NotRemembered("The live model has no history: transactions are not remembered.")
        if contract.first(Kind.ID) is None:
            raise NotRemembered("The live model's transactions have no id to find them by.")
        if self._redis is None:
            raise NotRemembered("No Redis is configured: transactions are not remembered.")
        return plan, contract

    def _updates(self, plan: Plan, labels: Labels) -> Iterator[LabelUpdate]:
        """Updates of LABELS_PER_UPDATE labels each, made one by one."""
        for begin in range(0, len(labels.ids), LABELS_PER_UPDATE):
            rows = slice(begin, begin + LABELS_PER_UPDATE)
            digests = self._key.transactions.digests(labels.ids[rows])
            yield LabelUpdate(plan, digests, labels.frauds[rows], labels.confirmed[rows], time.time())

    async def _updated(self, payload: Payload, update: LabelUpdate) -> LabelUpdate:
        """Reads and changes until nothing is left to do, or other gateways changed the same in each of MAX_ROUNDS."""
        for _ in range(MAX_ROUNDS):
            if not update.find_arguments():
                return update
            await self._found(payload, update)
            await self._change(payload, update)
        if update.find_arguments():
            raise LabelsNotTaken(SEND_AGAIN)
        return update

    async def _found(self, payload: Payload, update: LabelUpdate) -> LabelUpdate:
        """Reads the transactions of labels, and leaves out what was confirmed before its transaction."""
        assert self._redis  # noqa: S101 - `_remembered` has refused; mypy cannot see it.
        script = self._key.guarded(FIND_TRANSACTIONS)
        try:
            found = await run_script(self._redis.execute_command, script, update.find_arguments())
        except ResponseError as error:
            if str(error).startswith(REFUSED):  # No transaction would be found by this key's digests.
                raise LabelsNotTaken(OTHER_KEY) from None
            raise
        await payload.work(update.receive_transactions, found)
        update.leave_out_early()
        return update

    async def _change(self, payload: Payload, update: LabelUpdate) -> None:
        """Changes the labels of the transactions that were found."""
        assert self._redis  # noqa: S101 - `_remembered` has refused; mypy cannot see it.
        async with self._redis.pipeline(transaction=False) as pipeline:
            for month, transaction in update.stored_label_reads():
                pipeline.hget(month, transaction)  # type: ignore[arg-type]
            update.receive_stored_labels(await pipeline.execute())
        if arguments := await payload.work(update.arguments):
            script = self._key.guarded(UPDATE_LABELS)
            update.receive_conflicts(await run_script(self._redis.execute_command, script, arguments))


def _of_rows(labels: Labels, flags: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Flags of the ids, slice by slice, as those of the rows that name them."""
    return np.concatenate(flags)[labels.codes] if flags else NO_LABELS


def _early_faults(labels: Labels, early: Sequence[NDArray[np.bool_]]) -> list[Fault]:
    """The faults of labels that were confirmed before their transaction, given which of the ids, slice by slice."""
    hint = hint_of(None, FaultCode.BEFORE_TRANSACTION)
    numbers = labels.numbers[_of_rows(labels, early)].tolist()
    return [Fault(number, CONFIRMED, FaultCode.BEFORE_TRANSACTION, hint) for number in numbers]


def _receipt(labels: Labels, updates: Sequence[LabelUpdate]) -> LabelReceipt:
    is_unknown = _of_rows(labels, [update.unknown for update in updates])
    early = _early_faults(labels, [update.early for update in updates])
    skipped = labels.rows - len(labels.codes) + len(early)
    return LabelReceipt(
        labels=labels.rows,
        accepted=labels.rows - skipped - int(is_unknown.sum()),
        changed=sum(int(update.changed.sum()) for update in updates),
        unknown=labels.numbers[is_unknown],
        faults=sorted([*labels.faults, *early], key=lambda fault: fault.row or 0),
        skipped=skipped,
    )

"""The serving side without a gateway: batches of transactions and labels on a real Valkey, one step after the other."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from redis import Redis

from contract.table import Table
from gateway.history.pipeline import BatchPipeline
from history.keyed_hash import KEY_CHECK
from history.known_ids import FIND_TRANSACTIONS
from history.label_update import UPDATE_LABELS, LabelUpdate
from history.plan import Plan
from history.redis_schema import MERGE, STORE_VALUES
from history.session import BatchSession, HistoryOptions
from tests.history.oracle import Label, Transaction, columns_of
from tests.keys import KEY

KNOWN_SECONDS, VALUES_SECONDS = 1_000_000, 1_000
NO_VALUES = -1e12
"""A moment from which on nothing is old: nothing may be forgotten."""
Values = dict[str, list[float]]


class Served:
    """What a gateway does with a plan."""

    def __init__(self, plan: Plan, redis: Redis, now: float = NO_VALUES) -> None:
        """Takes a client that reads bytes, and what time it is."""
        self.plan = plan
        self.redis = redis
        self.now = now
        redis.setnx(KEY_CHECK, KEY.check)

    def session(self, transactions: Sequence[Transaction], *, record: bool = True) -> BatchSession:
        """A batch before it has asked anything."""
        table = Table(columns_of(transactions), np.arange(1, len(transactions) + 1))
        options = HistoryOptions(record, KNOWN_SECONDS, VALUES_SECONDS, KEY)
        return BatchSession(self.plan, table, [each.id for each in transactions], options, self.now)

    def enter(self, transactions: Sequence[Transaction], *, record: bool = True) -> Values:
        """The values of a batch."""
        session = self.session(transactions, record=record)
        pipeline = BatchPipeline(self.redis, KEY)
        if session.large:
            session.receive_states(pipeline.read(session))
        pipeline.enter(session)
        values = session.values()
        if stored := session.store_arguments(values):
            self.script(STORE_VALUES, *stored)
        if merges := session.merge_arguments():
            self.script(MERGE, *merges)
        return {name: result.tolist() for name, result in values.items()}

    def label(self, label: Label) -> bool:
        """Whether its transaction is known."""
        digests, fraud = KEY.transactions.digests([label.id]), np.array([label.fraud])
        update = LabelUpdate(self.plan, digests, fraud, np.array([label.confirmed]), self.now)
        while arguments := update.find_arguments():
            update.receive_transactions(cast("list[bytes]", self.redis.eval(FIND_TRANSACTIONS, 0, *arguments)))
            stored = [self.redis.hget(month, field) for month, field in update.stored_label_reads()]  # type: ignore[arg-type]
            update.receive_stored_labels(cast("list[bytes | None]", stored))
            if changes := update.arguments():
                update.receive_conflicts(self.script(UPDATE_LABELS, *changes))
        return not update.unknown[0]

    def script(self, script: str, *arguments: Any) -> Any:  # noqa: ANN401 - a script's own
        """What a script returns."""
        return self.redis.eval(script, 0, *arguments)

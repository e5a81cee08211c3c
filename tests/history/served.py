"""The serving side without a gateway: batches of transactions and labels on a real Valkey, one step after the other."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from redis import Redis

from contract.table import Table
from gateway.history.pipeline import BatchPipeline
from history.keyed_hash import NAME
from history.labels import LABELLED, LabelUpdate
from history.plan import Plan
from history.redis_schema import KEEP, MERGE
from history.session import BatchSession, HistoryOptions
from tests.history.oracle import Label, Transaction, columns_of
from tests.keys import KEY

KNOWN_SECONDS, VALUES_SECONDS = 1_000_000, 1_000
NEVER = -1e12
"""A moment from which on nothing is old: nothing may be forgotten."""
Values = dict[str, list[float]]


class Served:
    """What a gateway does with a plan."""

    def __init__(self, plan: Plan, redis: Redis, now: float = NEVER) -> None:
        """Takes a client that reads bytes, and what time it is."""
        self.plan = plan
        self.redis = redis
        self.now = now
        redis.setnx(NAME, KEY.check)

    def recall(self, transactions: Sequence[Transaction], *, record: bool = True) -> BatchSession:
        """A batch before it has asked anything."""
        table = Table(columns_of(transactions), np.arange(1, len(transactions) + 1))
        options = HistoryOptions(record, KNOWN_SECONDS, VALUES_SECONDS, KEY)
        return BatchSession(self.plan, table, [each.id for each in transactions], options, self.now)

    def enter(self, transactions: Sequence[Transaction], *, record: bool = True) -> Values:
        """The values of a batch."""
        recall = self.recall(transactions, record=record)
        exchange = BatchPipeline(self.redis, KEY)
        if recall.large:
            recall.take_states(exchange.read(recall))
        exchange.enter(recall)
        values = recall.values()
        if kept := recall.kept(values):
            self.script(KEEP, *kept)
        if merges := recall.merges():
            self.script(MERGE, *merges)
        return {name: found.tolist() for name, found in values.items()}

    def label(self, label: Label) -> bool:
        """Whether its transaction is known."""
        digests, fraud = KEY.transactions.digests([label.id]), np.array([label.fraud])
        labelling = LabelUpdate(self.plan, digests, fraud, np.array([label.confirmed]), self.now)
        while keys := labelling.keys():
            labelling.take_records(cast("list[bytes | None]", self.redis.mget(keys)))
            kept = [self.redis.hget(month, field) for month, field in labelling.kept_reads()]  # type: ignore[arg-type]
            labelling.take_kept(cast("list[bytes | None]", kept))
            if arguments := labelling.changes():
                labelling.take_moved(self.script(LABELLED, *arguments))
        return not labelling.unknown[0]

    def script(self, script: str, *arguments: Any) -> Any:  # noqa: ANN401 - a script's own
        """What a script returns."""
        return self.redis.eval(script, 0, *arguments)

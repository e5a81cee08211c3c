"""One layout of a plan: whose state each past transaction changes, and by which records."""

import numpy as np
from numpy.typing import NDArray

from history.evaluation import bucket_of, sort_keys
from history.keyed_hash import HistoryKey
from history.layout import MAX_BUCKET, RecordLayout, Records
from history.plan import Plan
from history.redis_schema import FRAUD, state_keys
from operations.history.past import PastTransactions, Rows


class Part:
    """The states of one layout.

    Attributes:
        layout: what they hold.
        keys: the key of each entity's state, without its prefix, by the entity's code.
        codes: of each transaction's entity; shape (rows,), as the next.
        usable: which transactions have an entity, and a time of this world.
    """

    def __init__(self, layout: RecordLayout, past: PastTransactions, key: HistoryKey) -> None:
        texts = past.texts[layout.entity]
        self._past = past
        self._buckets = bucket_of(past.seconds, layout.bucket)
        self.layout = layout
        self.keys: NDArray[np.void] = state_keys(layout, texts.tolist(), key)
        self.codes = past.codes[layout.entity]
        self.usable: NDArray[np.bool_] = (np.abs(self._buckets) < MAX_BUCKET) & (texts != "")[self.codes]

    def merged(self, rows: Rows) -> tuple[NDArray[np.int64], Records]:
        """What rows add, their frauds too, as one record for each bucket: sort keys, ascending, and records."""
        rows = rows[self.usable[rows]]
        codes, buckets = self.codes[rows], self._buckets[rows]
        records = self.layout.records(
            self._past.columns((*self.layout.sums, *self.layout.sets), rows), buckets, self._past.seconds[rows]
        )
        if self.layout.delay is not None:
            known, when = self._frauds(rows)
            records = np.concatenate([records, self.layout.frauds(when)], dtype=self.layout.dtype)
            codes, buckets = np.append(codes, self.codes[known]), np.append(buckets, when)
        return self.layout.merged(sort_keys(codes, buckets), records)

    def _frauds(self, rows: Rows) -> tuple[Rows, Rows]:
        """The frauds among rows, and the buckets they count in; where nobody says when it was known, it was in time."""
        rows = rows[self._past.labels[rows] == FRAUD]
        confirmed = self._past.confirmed[rows]
        seconds = np.where(np.isnan(confirmed), -np.inf, confirmed)
        buckets = bucket_of(self.layout.fraud_seconds(self._past.seconds[rows], seconds), self.layout.bucket)
        usable = np.abs(buckets) < MAX_BUCKET
        return rows[usable], buckets[usable]

    def reach(self, plan: Plan) -> int:
        """How far back the windows of a plan see in it, in seconds."""
        return (plan.oldest[self.layout] + 1) * self.layout.bucket

"""History features as data: of which entity, over which window, what is computed of its earlier transactions.

The bucket rule is part of each definition, so that training and serving share it exactly. Time is cut into buckets of
`bucket` seconds since 1970; a transaction at time t falls into bucket k = floor(t / bucket).

- Without a delay the window is the buckets k-n+1 ... k, n = seconds / bucket: the last one is still being filled, so
  it reaches back between `seconds - bucket` and `seconds`.
- With a delay it is the n buckets that end with the last one that was over `delay` ago: k-d-n ... k-d-1, d = delay /
  bucket. Nothing in it is younger than the delay: labels are known by then.

What a transaction sees: those that arrived before it and whose bucket is in its window, whatever the order of their
times. One that arrives late therefore sees no later bucket, and is seen by all that arrive after it; in the bucket
that both share it sees what came before it. Transactions that arrive together (the rows of a file) count as arriving
in order of time, rows of equal time in the order of the file.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

MINUTE, HOUR, DAY = 60, 3_600, 86_400
SMALLEST_BUCKET = MINUTE
MAX_BUCKETS = 2_000
"""Of a window and its delay together: it bounds the state of an entity."""
MAX_SECONDS = 10 * 365 * DAY
"""Of a window and its delay together: however large the buckets, state must expire."""
UNITS = {"d": DAY, "h": HOUR, "m": MINUTE}


class WindowError(ValueError):
    """A definition that cannot be obeyed; the model builder's fault."""


class Aggregate(StrEnum):
    """What is computed of the transactions in a window; `history.evaluation` has one function for each."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    STD = "std"
    DISTINCT = "distinct"
    SINCE_LAST = "since_last"
    RATIO = "ratio"
    RISK = "risk"


NUMBER_AGGREGATES = frozenset({Aggregate.SUM, Aggregate.MEAN, Aggregate.MAX, Aggregate.STD, Aggregate.RATIO})
"""These read a number column."""
COLUMN_AGGREGATES = NUMBER_AGGREGATES | {Aggregate.DISTINCT}
"""These read a column; distinct reads one of text."""


@dataclass(frozen=True)
class Window:
    """One history feature.

    Attributes:
        aggregate: count (transactions), sum, mean, max, std (of `column`, where it is not missing), distinct (values
            of `column`, estimated), since_last (seconds since the last transaction, at most `seconds`), ratio (this
            transaction's `column` to its mean), risk (share of confirmed frauds).
        entity: the column whose equal values belong together.
        column: what is aggregated; None where the aggregate needs none.
        seconds: how far back, a multiple of `bucket`.
        bucket: seconds.
        delay: seconds that the window ends before the transaction, a multiple of `bucket`; for risk the time that a
            label takes to arrive.
    """

    aggregate: Aggregate
    entity: str
    column: str | None
    seconds: int
    bucket: int
    delay: int = 0

    def __post_init__(self) -> None:
        """Refuses a window without meaning or without a bound."""
        self._check_columns()
        if self.bucket < SMALLEST_BUCKET or self.seconds < self.bucket or self.delay < 0:
            raise WindowError(f"{self.name}: a bucket has at least {SMALLEST_BUCKET} seconds, a window at least one")
        if self.seconds % self.bucket or self.delay % self.bucket:
            raise WindowError(f"{self.name}: window and delay must be whole numbers of buckets")
        if self.buckets + self.delay // self.bucket > MAX_BUCKETS:
            raise WindowError(f"{self.name}: more than {MAX_BUCKETS} buckets; take larger ones")
        if self.seconds + self.delay > MAX_SECONDS:
            raise WindowError(f"{self.name}: longer than ten years")
        if self.delay and self.aggregate in {Aggregate.SINCE_LAST, Aggregate.RATIO}:
            raise WindowError(f"{self.name}: {self.aggregate} has no delay")
        if not self.delay and self.aggregate is Aggregate.RISK:
            raise WindowError(f"{self.name}: a risk needs the delay of its labels")

    def _check_columns(self) -> None:
        if (self.column is not None) != (self.aggregate in COLUMN_AGGREGATES):
            needs = "needs a" if self.aggregate in COLUMN_AGGREGATES else "has no"
            raise WindowError(f"{self.aggregate} over {self.entity} {needs} column")
        if "(" in self.entity:
            raise WindowError(f"{self.entity}: an entity's name with a bracket would not be told from a column's")

    @cached_property
    def name(self) -> str:
        """Tells every part of the definition: equal names are equal definitions."""
        of = f"({self.column})" if self.column is not None else ""
        delay = f"-{duration(self.delay)}" if self.delay else ""
        return f"{self.entity}.{self.aggregate}{of}.{duration(self.seconds)}{delay}/{duration(self.bucket)}"

    @cached_property
    def buckets(self) -> int:
        """How many buckets the window has."""
        return self.seconds // self.bucket

    @cached_property
    def newest(self) -> int:
        """Its newest bucket, counted back from the transaction's."""
        return self.delay // self.bucket + 1 if self.delay else 0

    @cached_property
    def oldest(self) -> int:
        """Its oldest bucket, counted back from the transaction's."""
        return self.newest + self.buckets - 1

    def to_json(self) -> dict[str, Any]:
        """The definition as contract.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote."""
        column = fields["column"]
        seconds, bucket, delay = (_integer(fields[name]) for name in ("seconds", "bucket", "delay"))
        return cls(Aggregate(fields["aggregate"]), fields["entity"], column, seconds, bucket, delay)


def duration(seconds: int) -> str:
    """Seconds as people write them: 5m, 24h, 30d."""
    for unit, size in UNITS.items():
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WindowError("a window's seconds, bucket and delay are whole numbers")
    return value

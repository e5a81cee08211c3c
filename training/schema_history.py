"""The `[[history]]` blocks of a schema file: history features by entity, each block read into its windows.

A block names one entity, some aggregates and some windows, and gives a feature for each pair of the last two. What a
window means stands in `contract.windows`; the default bucket is chosen here: one hour where every
window is a day or more, else a twelfth of the shortest, and then the largest whole number of minutes up to that of
which all windows and the delay are whole numbers.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contract.schema import Feature, FeatureKind, Kind, readable_kinds
from contract.windows import COLUMN_AGGREGATES, DAY, HOUR, MINUTE, Aggregate, Window, WindowError, duration
from training import schema_values as values
from training.errors import SchemaError

KEYS = {"entity", "aggregates", "column", "windows", "delay", "bucket", "log"}
LABEL_DELAY = 7 * DAY
"""Of a risk, where the block names no other."""
MIN_BUCKETS = 12
"""Buckets of a window shorter than a day: its far end moves in steps of a twelfth."""
SHARES = frozenset({Aggregate.RISK, Aggregate.DISTINCT})
"""Within narrow bounds: their logarithm adds nothing."""


@dataclass(frozen=True, slots=True)
class SchemaHistory:
    """One block; with `log` the logarithm is a feature beside each number, but for those of SHARES."""

    windows: tuple[Window, ...]
    log: bool = False

    def features(self) -> Iterator[Feature]:
        """The features made from this block."""
        for window in self.windows:
            yield Feature(window.name, FeatureKind.NUMBER, window.name)
            if self.log and window.aggregate not in SHARES:
                yield Feature(f"log({window.name})", FeatureKind.LOG, window.name)


def parse_history(blocks: object, kinds: Mapping[str, Kind]) -> tuple[SchemaHistory, ...]:
    """Reads the blocks of a schema whose columns have these kinds.

    Raises:
        SchemaError: they cannot be obeyed; the message says what to write instead.
    """
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise SchemaError('History is written in blocks: [[history]] and below it entity = "customer_id" and so on.')
    if blocks and Kind.TIMESTAMP not in kinds.values():
        raise SchemaError('History needs the time of each transaction: give its column kind = "timestamp".')
    history = tuple(
        _HistoryBlock(f"History block {position}", block, kinds).read() for position, block in enumerate(blocks, 1)
    )
    _refuse_duplicates([window.name for block in history for window in block.windows])
    return history


@dataclass(frozen=True, slots=True)
class _HistoryBlock:
    """One block as it is written; `where` names it in refusals."""

    where: str
    fields: Mapping[str, Any]
    kinds: Mapping[str, Kind]

    def read(self) -> SchemaHistory:
        values.only(self.where, self.fields, KEYS)
        texts = self._texts("aggregates", '["count", "mean"]')
        aggregates = [values.choice(self.where, "aggregates", text, Aggregate) for text in texts]
        column, log = self._column(), values.boolean(self.where, "log", self.fields.get("log", False))
        self._check_column(aggregates, column)
        lengths = [values.seconds(self.where, "windows", text) for text in self._texts("windows", '["1d", "7d"]')]
        delays = {aggregate: self._delay(aggregate) for aggregate in aggregates}
        usual = usual_bucket(lengths, list(delays.values()))
        bucket = values.seconds(self.where, "bucket", self.fields["bucket"]) if "bucket" in self.fields else usual
        entity = self._entity()
        windows = tuple(
            self._window(aggregate, entity, column, (length, bucket, delays[aggregate]))
            for aggregate in aggregates
            for length in lengths
        )
        if log and SHARES.issuperset(aggregates):
            raise SchemaError(f"{self.where}: {_listed(aggregates)} has no logarithm: leave log out.")
        return SchemaHistory(windows, log)

    def _texts(self, key: str, example: str) -> tuple[str, ...]:
        return values.texts(self.where, key, self.fields.get(key), example)

    def _entity(self) -> str:
        entity, kinds = self.fields.get("entity"), self.kinds
        if isinstance(entity, str) and kinds.get(entity) is Kind.ENTITY:
            return entity
        known = [name for name, kind in kinds.items() if kind is Kind.ENTITY]
        there = f"one of {values.quoted(known)}" if known else 'a column with kind = "entity", and there is none yet'
        raise SchemaError(f"{self.where}: entity must be {there}.")

    def _column(self) -> str | None:
        column = self.fields.get("column")
        if column is not None and (not isinstance(column, str) or column not in self.kinds):
            raise SchemaError(f"{self.where}: column must be the name of a column of this schema.")
        return column

    def _check_column(self, aggregates: list[Aggregate], column: str | None) -> None:
        """The column must be of the kind that each aggregate reads, and some aggregate must read it."""
        reading = [aggregate for aggregate in aggregates if aggregate in COLUMN_AGGREGATES]
        if column is None and reading:
            raise SchemaError(f'{self.where}: {reading[0]} reads a column: write column = "amount", for example.')
        if column is not None and not reading:
            raise SchemaError(f"{self.where}: {_listed(aggregates)} reads no column: leave column out.")
        for aggregate in reading:
            accepted = sorted(readable_kinds(aggregate))
            if self.kinds[column or ""] not in accepted:
                raise SchemaError(
                    f"{self.where}: {aggregate} reads a column of kind {' or '.join(accepted)}, and {column} is a "
                    f"{self.kinds[column or '']}: name another column, or give {aggregate} a block of its own."
                )

    def _delay(self, aggregate: Aggregate) -> int:
        if "delay" not in self.fields:
            return LABEL_DELAY if aggregate is Aggregate.RISK else 0
        return values.seconds(self.where, "delay", self.fields["delay"])

    def _window(self, aggregate: Aggregate, entity: str, column: str | None, times: tuple[int, int, int]) -> Window:
        length, bucket, delay = times
        try:
            return Window(aggregate, entity, column if aggregate in COLUMN_AGGREGATES else None, length, bucket, delay)
        except WindowError as error:
            raise SchemaError(
                f"{self.where}: {error}. Its buckets are {duration(bucket)}: change bucket, windows or delay, or give "
                "what does not go together a block of its own."
            ) from error


def usual_bucket(lengths: list[int], delays: list[int]) -> int:
    """The bucket in seconds of windows of these lengths, each a whole number of minutes, where none is named."""
    longest = HOUR if min(lengths) >= DAY else max(MINUTE, min(lengths) // MIN_BUCKETS)
    minutes = math.gcd(*lengths, *delays) // MINUTE
    return MINUTE * max(part for part in range(1, longest // MINUTE + 1) if minutes % part == 0)


def _refuse_duplicates(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"The history feature {name} is there twice: take it out of one of the blocks.")


def _listed(aggregates: list[Aggregate]) -> str:
    return " and ".join(aggregates)

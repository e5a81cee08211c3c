"""A file of transactions joined with the labels that came in: what the next training reads.

The file is read in blocks and written as it is, with two columns more. A transaction is found by its id and the month
of its time, as its label is kept (`contract.labels`); one without a label is left out, or genuine after a while.
"""

import contextlib
import csv
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError

from contract import cells
from contract.labels import kept_labels, kept_places
from contract.remembered import FRAUD, GENUINE, TRANSACTIONS, UNLABELLED
from contract.schema import Column, Contract, Kind, TimeFormat
from operations.errors import OperationsError
from operations.rollout import connection
from operations.settings import Layout
from operations.store import archived
from operations.store.record import recorded
from operations.store.registry import Registry

BLOCK_ROWS = 5_000
PATIENCE = 10.0
"""Seconds that Redis may take for a block."""
CONFIRMED = "confirmed_at"
SPELLED = {FRAUD: "1", GENUINE: "0"}


@dataclass(frozen=True, slots=True)
class Exported:
    """Rows that were read, how many were written as fraud and as genuine, and how many had no label and were not."""

    rows: int = 0
    frauds: int = 0
    genuine: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        written = f"{self.frauds + self.genuine:,} labelled transactions, {self.frauds:,} of them fraud"
        return f"{written}; {self.left_out:,} of {self.rows:,} have no label and are left out"

    def plus(self, labels: NDArray[np.uint8]) -> "Exported":
        """With the rows of another block."""
        frauds, genuine = int((labels == FRAUD).sum()), int((labels == GENUINE).sum())
        left_out = len(labels) - frauds - genuine
        return Exported(self.rows + len(labels), self.frauds + frauds, self.genuine + genuine, self.left_out + left_out)


def run(layout: Layout, outside: Mapping[str, str], file: Path, out: Path, days: float | None = None) -> Exported:
    """Joins a file with the labels in the Redis of this deployment, by the columns of the live version.

    Args:
        layout: where the model store is; without a live version, the newest says what the columns are.
        outside: the environment; REDIS_URL, or else the stack that runs here, says where Redis is.
        file: of transactions, CSV.
        out: what is written; it must not exist.
        days: transactions older than this that have no label are taken as genuine; None leaves them out.

    Raises:
        OperationsError: the file cannot be read, there is no version or no Redis, or it does not answer.
    """
    url = outside.get("REDIS_URL") or connection.find(layout, outside).redis_url
    if not url:
        raise OperationsError("no Redis is configured, so no labels are kept: set REDIS_URL")
    try:
        client = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None)
        with contextlib.closing(client):
            return export(client, _contract(layout.store), file, out, days)
    except (RedisError, ValueError) as error:
        raise OperationsError(f"Redis does not answer as it should ({type(error).__name__})") from None


def export(redis: Redis, contract: Contract, file: Path, out: Path, days: float | None = None) -> Exported:
    """The same with all that it needs; the file appears when it is whole.

    Raises:
        OperationsError, RedisError: likewise.
    """
    if out.exists():
        raise OperationsError(f"{out} exists; choose another name")
    join = _Join(redis, contract, days)
    part = out.with_name(f".{out.name}.part")
    try:
        with file.open(encoding="utf-8-sig", newline="") as source, part.open("w", encoding="utf-8", newline="") as to:
            found = join.copy(source, to)
        part.replace(out)
    except (csv.Error, UnicodeDecodeError):
        raise OperationsError(f"{file} is no CSV file in UTF-8") from None
    finally:
        part.unlink(missing_ok=True)
    return found


class _Join:
    """The columns by which a label is found, and what is written of it."""

    def __init__(self, redis: Redis, contract: Contract, days: float | None) -> None:
        column, moment, label = contract.first(Kind.ID), contract.time, contract.first(Kind.LABEL)
        if column is None or moment is None:
            raise OperationsError("the model's transactions have no id or no time, so no labels are kept of them")
        if days is not None and moment.time_format is TimeFormat.SECONDS:
            raise OperationsError("the model's times are seconds of some clock: nobody knows how old they are")
        self._redis = redis
        self._id, self._time = column, moment
        self._label = label.name if label else "fraud"
        self._genuine_before = -np.inf if days is None else time.time() - days * 86_400

    def copy(self, source: TextIO, to: TextIO) -> Exported:
        """Row after row; those without a label are left out."""
        records = (record for record in csv.reader(source, strict=True) if record)
        header = [name.strip() for name in next(records, [])]
        places = [self._place(header, column.name) for column in (self._id, self._time)]
        if added := {self._label, CONFIRMED} & set(header):
            raise OperationsError(f"the file has a column {min(added)} already; leave it out")
        writer, done = csv.writer(to, lineterminator="\n"), Exported()
        writer.writerow([*header, self._label, CONFIRMED])
        for block in _blocks(records, len(header)):
            labels, confirmed = self._labels(block, places, done.rows)
            writer.writerows(self._labelled(block, labels, confirmed))
            done = done.plus(labels)
        return done

    def _place(self, header: Sequence[str], name: str) -> int:
        if name not in header:
            raise OperationsError(f"the file has no column {name}, by which labels are found")
        return header.index(name)

    def _labels(
        self, block: Sequence[Sequence[str]], places: Sequence[int], before: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        ids, seconds = (
            _values(column, [row[place] for row in block], before)
            for column, place in zip((self._id, self._time), places, strict=True)
        )
        labels, confirmed = np.full(len(block), UNLABELLED, dtype=np.uint8), np.full(len(block), np.nan)
        for month, (rows, fields) in kept_places(TRANSACTIONS.digests(ids.tolist()), seconds).items():
            values = cast("list[bytes | None]", self._redis.hmget(month, fields))  # type: ignore[arg-type]
            labels[rows], confirmed[rows] = kept_labels(values)
        labels[(labels == UNLABELLED) & (seconds < self._genuine_before)] = GENUINE
        return labels, confirmed

    def _labelled(
        self, block: Iterable[Sequence[str]], labels: NDArray[np.uint8], confirmed: NDArray[np.float64]
    ) -> Iterator[list[str]]:
        for row, label, since in zip(block, labels.tolist(), confirmed.tolist(), strict=True):
            if label != UNLABELLED:
                yield [*row, SPELLED[label], self._moment(since)]

    def _moment(self, seconds: float) -> str:
        if np.isnan(seconds):
            return ""
        if self._time.time_format is TimeFormat.SECONDS:
            return repr(seconds)
        try:
            return datetime.fromtimestamp(seconds, UTC).isoformat()
        except (OverflowError, ValueError, OSError):  # A moment of no world.
            return ""


def _values(column: Column, texts: Sequence[str], before: int) -> NDArray[Any]:
    found = cells.from_text(column, texts)
    if found.faults:
        place, code = min(found.faults.items())
        raise OperationsError(f"the file has a fault: row {before + place + 1}, {column.name}: {code}")
    return found.values


def _blocks(records: Iterator[list[str]], width: int) -> Iterator[list[list[str]]]:
    rows = 0
    while block := list(islice(records, BLOCK_ROWS)):
        for place, record in enumerate(block):
            if len(record) != width:
                raise OperationsError(f"the file has a fault: row {rows + place + 1} has another number of fields")
        rows += len(block)
        yield block


def _contract(store: Path) -> Contract:
    registry, record = Registry(store), recorded(store)
    versions = [entry.version for entry in registry.entries()]
    if not record and not versions:
        raise OperationsError("there is no model version, whose columns say what the file means: fraud train")
    return archived.read(registry, record.version if record else max(versions)).contract

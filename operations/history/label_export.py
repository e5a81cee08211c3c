"""Transactions joined with the labels that came in: what the next training reads.

Files are read in blocks and written as they are, with the label and since when it is known as their last columns. A
transaction is found by its id and the month of its time, as its label is stored (`history.label_update`). Rules:

1. The label that came in counts, for it is the newer one; else the file's own; else the label stays empty: training
   learns nothing from the row, but its history counts it.
2. With `days`, older transactions without a label are written as genuine, and younger ones have no label at all: of
   them only the frauds would be known, and what is learned or measured there would be wrong (in a file with 2% fraud
   the newest period had 7%).
3. Of several files, a newer one counts where an id is in more than one; they are ordered by name.
"""

import contextlib
import csv
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError

from contract import cells, dates
from contract.labels import FRAUD, GENUINE, UNLABELLED
from contract.schema import CONFIRMED_COLUMN, Column, Contract, Kind, TimeFormat
from environment.redis_client import connect
from history.keyed_hash import UNKEYED, HistoryKey
from history.label_update import label_fields, parse_stored_labels
from operations.errors import OperationsError
from operations.files import durable
from operations.history.redis_access import TIMEOUT_SECONDS, require_key
from operations.network.endpoints import history_key, require_redis_url
from operations.settings import StatePaths
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record
from training import source
from training.errors import TrainingError

EXPORT_BLOCK_ROWS = 5_000
WriteRow = Callable[[Iterable[str]], object]


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """Rows that were read, and what became of them.

    Attributes:
        unlabelled: written without a label: they have none, or are too young for it.
        received: rows with a label that came in; the others' labels are the files' own, or by age.
        genuine_by_age: written as genuine, for they are old and have no label.
        too_recent: whose label is not written, for others as young have none yet.
        superseded: left out, for a newer file has their id.
    """

    rows: int = 0
    frauds: int = 0
    genuine: int = 0
    unlabelled: int = 0
    received: int = 0
    genuine_by_age: int = 0
    superseded: int = 0
    too_recent: int = 0

    def __str__(self) -> str:
        written = f"{self.frauds + self.genuine:,} labelled transactions, {self.frauds:,} of them fraud"
        by_age = f", {self.genuine_by_age:,} genuine by their age" if self.genuine_by_age else ""
        superseded = f"; {self.superseded:,} are in a newer file too" if self.superseded else ""
        received = f"{self.received:,} by labels that came in{by_age}"
        too_recent = f", {self.too_recent:,} for they are too young" if self.too_recent else ""
        return f"{written} ({received}); {self.unlabelled:,} of {self.rows:,} have no label{too_recent}{superseded}"


def run(paths: StatePaths, env: Mapping[str, str], file: Path, out: Path, days: float | None = None) -> ExportCounts:
    """Joins a file with the labels in the Redis of this deployment, by the columns of the live version.

    Args:
        paths: where the model store is; without a live version, the newest says what the columns are.
        env: the environment; REDIS_URL, or else the stack that runs here, says where Redis is.
        file: of transactions, CSV or parquet.
        out: what is written; it must not exist.
        days: transactions older than this that have no label are taken as genuine, and younger ones have none.

    Raises:
        OperationsError: the file cannot be read, there is no version or no Redis, or it does not answer.
    """
    with open_received_labels(require_redis_url(paths, env), history_key(paths, env)) as received:
        return export(received, live_contract(paths.store), [file], out, days)


@dataclass(frozen=True, slots=True)
class ReceivedLabels:
    """The labels that came in: a client of the Redis that holds them, and what ids are hashed with there."""

    redis: Redis
    key: HistoryKey

    def of(
        self, digests: NDArray[np.void], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """The labels of transactions, by digests without a key and times, and when each was confirmed."""
        labels, confirmed = np.full(len(digests), UNLABELLED, dtype=np.uint8), np.full(len(digests), np.nan)
        for month, (rows, fields) in label_fields(self.key.keyed_all(digests), seconds).items():
            values = cast("list[bytes | None]", self.redis.hmget(month, fields))  # type: ignore[arg-type]
            labels[rows], confirmed[rows] = parse_stored_labels(values)
        return labels, confirmed


@contextlib.contextmanager
def open_received_labels(url: str, key: HistoryKey) -> Iterator[ReceivedLabels]:
    """The labels in Redis, while it is connected; its errors meanwhile become OperationsErrors.

    Raises:
        OperationsError: it does not answer as it should, or has digests of another key.
    """
    try:
        redis = connect(url, TIMEOUT_SECONDS)
    except ValueError:
        raise OperationsError("REDIS_URL is no address of a Redis") from None
    try:
        with redis as client:
            require_key(client, key)
            yield ReceivedLabels(client, key)
    except RedisError as error:
        raise OperationsError(f"Redis does not answer as it should ({type(error).__name__})") from None


def export(
    received: ReceivedLabels | None, contract: Contract, files: Sequence[Path], out: Path, days: float | None = None
) -> ExportCounts:
    """Joins several files with labels; the result appears under its name once it is complete.

    Args:
        received: None where no labels came in: the files' own are taken.
        contract: says which columns are id, time and label.
        files: in the order of their age, the newest last.
        out: the file that is written; it must not exist.
        days: as for :func:`run`.

    Raises:
        OperationsError: a file cannot be read, or lacks a column.
        RedisError: Redis does not answer.
    """
    exists = OperationsError(f"{out} exists; choose another name")
    if os.path.lexists(out):
        raise exists
    join = _LabelJoin(received, contract, days)
    try:
        with durable.create(out) as text:
            return join.copy(files, csv.writer(text, lineterminator="\n").writerow)
    except FileExistsError:
        raise exists from None


@dataclass(frozen=True, slots=True)
class _FileColumns:
    """The positions of the columns of a file; those of its own label and of its confirmation may be missing."""

    id: int
    time: tuple[int, ...]
    label: int | None
    confirmed: int | None
    others: tuple[int, ...]

    @classmethod
    def of(
        cls, header: list[str], others: Sequence[str], names: tuple[str, Sequence[str], str, str], file: Path
    ) -> Self:
        """Of a header; `names` are the columns of id, time (perhaps two), label and confirmation, `others` the rest.

        Raises:
            OperationsError: it has other columns.
        """
        identity, time_names, label, confirmed = names
        if missing := [name for name in (identity, *time_names) if name not in header]:
            raise OperationsError(f"the file {file.name} has no column {missing[0]}, by which labels are found")
        if different := sorted(set(others) ^ (set(header) - {label, confirmed})):
            raise OperationsError(
                f"the file {file.name} and a newer one do not both have the columns {', '.join(different)}"
            )
        label_at, confirmed_at = (header.index(name) if name in header else None for name in (label, confirmed))
        positions = tuple(header.index(name) for name in others)
        return cls(header.index(identity), tuple(map(header.index, time_names)), label_at, confirmed_at, positions)

    def time_text(self, row: Sequence[str]) -> str:
        """The time of the transaction."""
        parts = [row[position] for position in self.time]
        return dates.join_parts(parts) if len(parts) > 1 else parts[0]

    def own_label(self, row: Sequence[str]) -> tuple[str, str]:
        """The label in the file itself, and when it was confirmed; "" where it has none."""
        label = "" if self.label is None else row[self.label].strip()
        return label, row[self.confirmed].strip() if label and self.confirmed is not None else ""


class _LabelJoin:
    """Copies files, with the labels of their transactions."""

    def __init__(self, received: ReceivedLabels | None, contract: Contract, days: float | None) -> None:
        identity, time_column, label = contract.first(Kind.ID), contract.time, contract.label
        if identity is None or time_column is None:
            raise OperationsError("the model's transactions have no id or no time, so no labels are kept of them")
        if days is not None and not time_column.time_format.is_dated:
            raise OperationsError("the model's times are seconds of some clock: nobody knows how old they are")
        self._received = received
        self._id, self._time = identity, time_column
        self._label = label or Column("fraud", Kind.LABEL)
        self._confirmed = contract.confirmed or Column(CONFIRMED_COLUMN, Kind.TIMESTAMP)
        self._texts = {FRAUD: self._label.words.fraud[0], GENUINE: self._label.words.genuine[0]}
        self._genuine_before = None if days is None else time.time() - days * 86_400
        self._newer_ids, self._file_ids = set[bytes](), set[bytes]()
        self._counts = Counter[str]()

    def copy(self, files: Sequence[Path], write: WriteRow) -> ExportCounts:
        """Copies file after file, the newest first, and row after row."""
        others, names = list[str](), (self._id.name, self._time.names, self._label.name, self._confirmed.name)
        for file in reversed(files):
            with _errors_in_words(file), _records(file) as records:
                header = [name.strip() for name in next(records, [])]
                if not others:
                    others = [name for name in header if name not in names[2:]]
                    write([*others, *names[2:]])
                columns = _FileColumns.of(header, others, names, file)
                self._copy_blocks(_blocks(records, len(header)), columns, write, several=len(files) > 1)
                self._newer_ids |= self._file_ids
        return ExportCounts(**self._counts)

    def _copy_blocks(
        self, blocks: Iterator[list[list[str]]], columns: _FileColumns, write: WriteRow, *, several: bool
    ) -> None:
        before = 0
        for block in blocks:
            ids = _parse_column(self._id, [row[columns.id] for row in block], before)
            seconds = _parse_column(self._time, [columns.time_text(row) for row in block], before)
            before += len(block)
            digests = UNKEYED.transactions.digests(ids.tolist())
            new = self._is_new(ids.tolist(), digests) if several else np.ones(len(block), dtype=np.bool_)
            rows = [row for row, is_new in zip(block, new.tolist(), strict=True) if is_new]
            self._counts.update(rows=len(block), superseded=len(block) - len(rows))
            self._write(rows, columns, write, (digests[new], seconds[new]))

    def _is_new(self, ids: Sequence[str], digests: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which ids no newer file has; of repeats in one file training decides."""
        keys = [digest.tobytes() for digest in digests]
        new = [not text or key not in self._newer_ids for text, key in zip(ids, keys, strict=True)]
        self._file_ids.update(keys)
        return np.array(new, dtype=np.bool_)

    def _labels(
        self, digests: NDArray[np.void], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        if self._received is None:
            return np.full(len(digests), UNLABELLED, dtype=np.uint8), np.full(len(digests), np.nan)
        return self._received.of(digests, seconds)

    def _write(
        self,
        rows: Sequence[Sequence[str]],
        columns: _FileColumns,
        write: WriteRow,
        keys: tuple[NDArray[np.void], NDArray[np.float64]],
    ) -> None:
        """Writes rows with their labels, and counts them."""
        received, confirmed = self._labels(*keys)
        for row, seconds, code, since in zip(
            rows, keys[1].tolist(), received.tolist(), confirmed.tolist(), strict=True
        ):
            known, known_since = self._own_label(columns, row)
            if code != UNLABELLED:
                known, known_since = self._texts[code], self._time_text(since)
            label = self._label_by_age(known, seconds)
            self._counts["received"] += code != UNLABELLED
            self._counts["genuine_by_age"] += label != "" == known
            self._counts["too_recent"] += known != "" == label
            self._counts[self._count_of(label)] += 1
            write([*(row[position] for position in columns.others), label, known_since if label else ""])

    def _label_by_age(self, label: str, seconds: float) -> str:
        """The label to write, given the known one; without a time nobody knows how old a transaction is."""
        if self._genuine_before is None or np.isnan(seconds):
            return label
        return label or self._texts[GENUINE] if seconds < self._genuine_before else ""

    def _time_text(self, seconds: float) -> str:
        if np.isnan(seconds):
            return ""
        try:
            # ISO 8601 names its offset: no clock that is set back makes it two moments.
            zone = "" if self._confirmed.time_format is TimeFormat.ISO else self._confirmed.zone
            text = dates.format_time(self._confirmed.time_format, seconds, dates.zone_of(zone))
        except (OverflowError, ValueError, OSError):  # Out of the range of dates.
            return ""
        return f"{text}+00:00" if self._confirmed.time_format is TimeFormat.ISO else text

    def _own_label(self, columns: _FileColumns, row: Sequence[str]) -> tuple[str, str]:
        """As :meth:`_FileColumns.own_label`; a word that means "not known yet" is none."""
        label, since = columns.own_label(row)
        return (label, since) if label and self._label.words.meaning(label) != UNLABELLED else ("", "")

    def _count_of(self, label: str) -> str:
        """Which field of ExportCounts counts a label; whether a text is a label is for training to decide."""
        if not label:
            return "unlabelled"
        return "frauds" if self._label.words.meaning(label) == FRAUD else "genuine"


@contextlib.contextmanager
def _records(file: Path) -> Iterator[Iterator[list[str]]]:
    """The records of a CSV or parquet file, the header first, without blank lines."""
    if source.is_parquet(file):
        with source.open_parquet(file) as opened, source.intact():
            yield source.parquet_records(opened)
    else:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield (record for record in csv.reader(text, strict=True) if record)


@contextlib.contextmanager
def _errors_in_words(file: Path) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError):
        raise OperationsError(f"{file} is no CSV file in UTF-8") from None
    except TrainingError as error:
        raise OperationsError(str(error)) from None


def _parse_column(column: Column, texts: Sequence[str], before: int) -> NDArray[Any]:
    parsed = cells.from_text(column, texts)
    if parsed.faults:
        place, code = min(parsed.faults.items())
        raise OperationsError(f"the file has a fault: row {before + place + 1}, {column.name}: {code}")
    return parsed.values


def _blocks(records: Iterator[list[str]], width: int) -> Iterator[list[list[str]]]:
    rows = 0
    while block := list(islice(records, EXPORT_BLOCK_ROWS)):
        for place, record in enumerate(block):
            if len(record) != width:
                raise OperationsError(f"the file has a fault: row {rows + place + 1} has another number of fields")
        rows += len(block)
        yield block


def live_contract(store: Path) -> Contract:
    """The contract whose columns transactions have: the live version's, or the newest one's where none is live.

    Raises:
        OperationsError: there is no version.
    """
    registry, record = Registry(store), read_record(store)
    versions = [entry.version for entry in registry.entries()]
    if not record and not versions:
        raise OperationsError("there is no model version, whose columns say what the file means: fraud train")
    return version_archive.read_archive(registry, record.version if record else max(versions)).contract

"""Transactions joined with the labels that came in: what the next training reads.

Files are read in blocks and written as they are, with the label and since when it is known as their last columns. A
transaction is found by its id and the month of its time, as its label is kept (`history.labels`). The label that came
in counts, for it is the newer one; else the file's own, where it has one; else the label stays empty (training learns
nothing from the row, but its history counts it), or the transaction is taken as genuine after a while. Younger ones
then have no label at all: of them only the frauds would be known, and what is learned or measured there would be wrong
(in a file with 2% fraud the newest period had 7%). Of several files the last by name counts where an id is in more than
one.
"""

import contextlib
import csv
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError

from contract import cells, dates
from contract.schema import CONFIRMED_COLUMN, Column, Contract, Kind, TimeFormat
from environment.redis_client import connect
from history.keyed_hash import UNKEYED, HistoryKey
from history.labels import label_fields, parse_stored_labels
from history.redis_schema import FRAUD, GENUINE, UNLABELLED
from operations.errors import OperationsError
from operations.files import durable
from operations.history.redis_access import TIMEOUT_SECONDS, require_key
from operations.network.endpoints import history_key, require_redis_url
from operations.settings import StatePaths
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record
from training import source
from training.data import TRUE
from training.errors import TrainingError

BLOCK_ROWS = 5_000
SPELLED = {FRAUD: "1", GENUINE: "0"}


class Writer(Protocol):
    """What `csv.writer` makes."""

    def writerow(self, row: Iterable[str], /) -> object:
        """Writes one."""


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """Rows that were read, and what became of them.

    Attributes:
        unlabelled: those without a label, nobody's or too young a one.
        came_in: labels that came in; the others were in the files, or are taken as genuine.
        by_age: taken as genuine, for they are old and nobody said anything.
        young: those whose label is not written, for others as young have none.
        again: rows left out, for a newer file has their id.
    """

    rows: int = 0
    frauds: int = 0
    genuine: int = 0
    unlabelled: int = 0
    came_in: int = 0
    by_age: int = 0
    again: int = 0
    young: int = 0

    def __str__(self) -> str:
        written = f"{self.frauds + self.genuine:,} labelled transactions, {self.frauds:,} of them fraud"
        of_age = f", {self.by_age:,} genuine by their age" if self.by_age else ""
        again = f"; {self.again:,} are in a newer file too" if self.again else ""
        came = f"{self.came_in:,} by labels that came in{of_age}"
        young = f", {self.young:,} for they are too young" if self.young else ""
        return f"{written} ({came}); {self.unlabelled:,} of {self.rows:,} have no label{young}{again}"

    def plus(self, other: "ExportCounts") -> "ExportCounts":
        """With the rows of another block."""
        return ExportCounts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


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
    with connected(require_redis_url(paths, env), history_key(paths, env)) as came_in:
        return export(came_in, live_contract(paths.store), [file], out, days)


@dataclass(frozen=True, slots=True)
class ReceivedLabels:
    """The labels that came in: a connection to Redis, and what ids are hashed with there."""

    redis: Redis
    key: HistoryKey

    def of(
        self, digests: NDArray[np.void], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Those of transactions, by digests without a key and times, and when each was confirmed."""
        labels, confirmed = np.full(len(digests), UNLABELLED, dtype=np.uint8), np.full(len(digests), np.nan)
        for month, (rows, fields) in label_fields(self.key.keyed_all(digests), seconds).items():
            values = cast("list[bytes | None]", self.redis.hmget(month, fields))  # type: ignore[arg-type]
            labels[rows], confirmed[rows] = parse_stored_labels(values)
        return labels, confirmed


@contextlib.contextmanager
def connected(url: str, key: HistoryKey) -> Iterator[ReceivedLabels]:
    """What came in, while Redis is connected; what it refuses meanwhile is an error for people.

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
    came_in: ReceivedLabels | None, contract: Contract, files: Sequence[Path], out: Path, days: float | None = None
) -> ExportCounts:
    """The same of several files, with all that it needs; the file appears when it is whole.

    Args:
        came_in: None where no labels came in: the files' own are taken.
        contract: says which columns are id, time and label.
        files: in the order of their age, the newest last.
        out: as for :func:`run`.
        days: likewise.

    Raises:
        OperationsError, RedisError: likewise.
    """
    exists = OperationsError(f"{out} exists; choose another name")
    if os.path.lexists(out):
        raise exists
    join = _Join(came_in, contract, days)
    try:
        with durable.create(out) as to:
            return join.copy(files, csv.writer(to, lineterminator="\n"))
    except FileExistsError:
        raise exists from None


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a file has what is read and written of it; the file's own label and its moment may be missing."""

    identity: int
    time: tuple[int, ...]
    label: int | None
    confirmed: int | None
    columns: tuple[int, ...]

    @classmethod
    def of(cls, header: list[str], columns: Sequence[str], names: tuple[str, Sequence[str], str], file: Path) -> Self:
        """Of a header; `columns` are those that are written, `names` the columns of id, time (perhaps two) and label.

        Raises:
            OperationsError: it has other columns.
        """
        identity, moment, label = names
        if lost := [name for name in (identity, *moment) if name not in header]:
            raise OperationsError(f"the file {file.name} has no column {lost[0]}, by which labels are found")
        if other := sorted(set(columns) ^ (set(header) - {label, CONFIRMED_COLUMN})):
            raise OperationsError(
                f"the file {file.name} and a newer one do not both have the columns {', '.join(other)}"
            )
        label_place, since = (header.index(name) if name in header else None for name in (label, CONFIRMED_COLUMN))
        places = tuple(header.index(name) for name in columns)
        return cls(header.index(identity), tuple(map(header.index, moment)), label_place, since, places)

    def moment(self, row: Sequence[str]) -> str:
        """The time of the transaction."""
        day, *clock = (row[place] for place in self.time)
        return dates.join_date_time(day, clock[0]) if clock else day

    def own(self, row: Sequence[str]) -> tuple[str, str]:
        """The label and its moment that the file itself has; "" where it has none."""
        label = "" if self.label is None else row[self.label].strip()
        return label, row[self.confirmed].strip() if label and self.confirmed is not None else ""

    def others(self, row: Sequence[str]) -> list[str]:
        """All other cells."""
        return [row[place] for place in self.columns]


class _Join:
    """The columns by which a label is found, and what is written of it."""

    def __init__(self, came_in: ReceivedLabels | None, contract: Contract, days: float | None) -> None:
        column, moment, label = contract.first(Kind.ID), contract.time, contract.first(Kind.LABEL)
        if column is None or moment is None:
            raise OperationsError("the model's transactions have no id or no time, so no labels are kept of them")
        if days is not None and not moment.time_format.is_dated:
            raise OperationsError("the model's times are seconds of some clock: nobody knows how old they are")
        self._came_in = came_in
        self._id, self._time = column, moment
        self._label = label.name if label else "fraud"
        self._old = None if days is None else time.time() - days * 86_400
        self._seen, self._fresh = set[bytes](), set[bytes]()

    def copy(self, files: Sequence[Path], to: Writer) -> ExportCounts:
        """File after file, the newest first, and row after row."""
        done, columns = ExportCounts(), list[str]()
        for file in reversed(files):
            with _in_words(file), _records(file) as records:
                header = [name.strip() for name in next(records, [])]
                if not columns:
                    columns = [name for name in header if name not in {self._label, CONFIRMED_COLUMN}]
                    to.writerow([*columns, self._label, CONFIRMED_COLUMN])
                places = _Places.of(header, columns, (self._id.name, self._time.names, self._label), file)
                done = self._copied(_blocks(records, len(header)), places, to, done, remember=len(files) > 1)
                self._seen |= self._fresh
        return done

    def _copied(
        self, blocks: Iterator[list[list[str]]], places: _Places, to: Writer, done: ExportCounts, *, remember: bool
    ) -> ExportCounts:
        before = 0
        for block in blocks:
            ids, seconds = self._read(block, places, before)
            before += len(block)
            digests = UNKEYED.transactions.digests(ids.tolist())
            new = self._unseen(ids.tolist(), digests) if remember else np.ones(len(block), dtype=np.bool_)
            fresh = [row for row, here in zip(block, new.tolist(), strict=True) if here]
            written = self._written(fresh, places, to, (digests[new], seconds[new]))
            done = done.plus(replace(written, rows=len(block), again=int((~new).sum())))
        return done

    def _read(
        self, block: Sequence[Sequence[str]], places: _Places, before: int
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        ids = _values(self._id, [row[places.identity] for row in block], before)
        return ids, _values(self._time, [places.moment(row) for row in block], before)

    def _unseen(self, ids: Sequence[str], digests: NDArray[np.void]) -> NDArray[np.bool_]:
        """Which ids no newer file has; a file's own repeats are training's to count."""
        keys = [digest.tobytes() for digest in digests]
        new = np.array([not text or key not in self._seen for text, key in zip(ids, keys, strict=True)], dtype=np.bool_)
        self._fresh.update(keys)
        return new

    def _labels(
        self, digests: NDArray[np.void], seconds: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Those that came in."""
        if self._came_in is None:
            return np.full(len(digests), UNLABELLED, dtype=np.uint8), np.full(len(digests), np.nan)
        return self._came_in.of(digests, seconds)

    def _written(
        self,
        block: Sequence[Sequence[str]],
        places: _Places,
        to: Writer,
        keys: tuple[NDArray[np.void], NDArray[np.float64]],
    ) -> ExportCounts:
        """Writes the rows with what is known of them, and counts these."""
        labels, confirmed = self._labels(*keys)
        said = []
        for place, row in enumerate(block):
            own, since = places.own(row)
            if labels[place] != UNLABELLED:
                own, since = SPELLED[int(labels[place])], self._moment(float(confirmed[place]))
            said.append(self._settled(own, float(keys[1][place])))
            label = said[-1].label
            to.writerow([*places.others(row), label, since if label else ""])
        return _counted(said, int((labels != UNLABELLED).sum()))

    def _settled(self, label: str, seconds: float) -> "_Settled":
        """What is written of a transaction of which this is known; without a time nobody knows how old it is."""
        if self._old is None or np.isnan(seconds):
            return _Settled(label)
        if seconds < self._old:
            return _Settled(label or SPELLED[GENUINE], by_age=not label)
        return _Settled("", young=bool(label))

    def _moment(self, seconds: float) -> str:
        if np.isnan(seconds):
            return ""
        try:
            text = dates.format_time(self._time.time_format, seconds)
        except (OverflowError, ValueError, OSError):  # A moment of no world.
            return ""
        return f"{text}+00:00" if self._time.time_format is TimeFormat.ISO else text


@dataclass(frozen=True, slots=True)
class _Settled:
    """A label as it is written, and why it is another than was known."""

    label: str
    by_age: bool = False
    young: bool = False


def _counted(said: Sequence[_Settled], came_in: int) -> ExportCounts:
    labels = Counter(_said(each.label) for each in said)
    by_age, young = sum(each.by_age for each in said), sum(each.young for each in said)
    return ExportCounts(0, labels[FRAUD], labels[GENUINE], labels[UNLABELLED], came_in, by_age, 0, young)


def _said(label: str) -> int:
    """What is counted: whether a text is a label is for training to say."""
    if not label:
        return UNLABELLED
    return FRAUD if label.lower() in TRUE else GENUINE


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
def _in_words(file: Path) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError):
        raise OperationsError(f"{file} is no CSV file in UTF-8") from None
    except TrainingError as error:
        raise OperationsError(str(error)) from None


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


def live_contract(store: Path) -> Contract:
    """What the columns are called: by the live version, or the newest where none is live.

    Raises:
        OperationsError: there is no version.
    """
    registry, record = Registry(store), read_record(store)
    versions = [entry.version for entry in registry.entries()]
    if not record and not versions:
        raise OperationsError("there is no model version, whose columns say what the file means: fraud train")
    return version_archive.read_archive(registry, record.version if record else max(versions)).contract

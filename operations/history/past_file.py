"""A file of past transactions, CSV or parquet, read whole before anything of it is loaded.

Faults are reported by row and column, and refuse the file. It is parsed as in serving, block after block, so that
memory holds the bytes of a block and what history needs of all rows, not the file. Of a CSV file that is not plain, the
whole tells how its numbers are written: it is parsed at once.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.column_names import matched
from contract.dialect import HEAD_BYTES, PLAIN, Dialect, csv_records
from contract.faults import Fault, FaultCode, InputError
from contract.labels import NOT_A_LABEL, UNLABELLED
from contract.schema import Column, Contract, Decimal, Feature, FeatureKind, Kind, Others
from contract.table import MAX_FAULTS, ParsedRows, Table, dialect_of, has_written_numbers, read_csv
from history.keyed_hash import UNKEYED
from history.layout import Rows
from history.plan import Plan
from operations.errors import OperationsError, in_words
from operations.history.past_transactions import (
    ROW_ARRAYS,
    ParsedFile,
    PastTransactions,
    ProgressCallback,
    effective_seconds,
)
from training import source
from training.errors import TrainingError

CSV_BLOCK_BYTES = 1 << 23
PARQUET_BLOCK_ROWS = 1 << 17
SHOWN_FAULTS = 5
LABEL_ADVICE = " Which words a label has, its model's schema says: fraud, genuine and unknown."


class _NotPlainError(Exception):
    """A file of which only the whole tells how its numbers are written."""


class Refusal(OperationsError):
    """The file cannot be loaded as it is; nothing of it was."""


def read(
    contract: Contract, plan: Plan, path: Path, on_progress: ProgressCallback, *, skip: bool = False
) -> ParsedFile:
    """Reads a file, .parquet by its name and CSV otherwise.

    Args:
        contract: of the version whose history it is.
        plan: what history needs.
        path: of the file.
        on_progress: is called with the bytes, or the rows of a parquet file, that are read, and all of them.
        skip: leaves rows at fault out, and does not refuse the file for them.

    Raises:
        Refusal: it cannot be read, lacks a column, or has a cell at fault.
    """
    try:
        if source.is_parquet(path):
            return _read_parquet(_Reader(contract, plan, skip=skip), path, on_progress)
        return _read_csv(_Reader(contract, plan, skip=skip), path, on_progress)
    except TrainingError as error:
        raise Refusal(str(error)) from None
    except OSError as error:
        raise Refusal(in_words(error)) from None


def read_bytes(contract: Contract, plan: Plan, body: bytes, on_progress: ProgressCallback) -> ParsedFile:
    """Reads the bytes of a CSV file with commas between its fields; as :func:`read`."""
    reader = _Reader(contract, plan, skip=False)
    try:
        return _read_plain_csv(reader, BytesIO(body), len(body), on_progress)
    except _NotPlainError:
        return _read_whole(reader.anew(), body, on_progress)


def csv_blocks(stream: BinaryIO, size: int = CSV_BLOCK_BYTES) -> Iterator[bytes]:
    """The bytes of a CSV file in pieces of whole records, of about this size."""
    rest = b""
    while piece := stream.read(size):
        rest += piece
        if end := _records_end(rest):
            yield rest[:end]
            rest = rest[end:]
    if rest:
        yield rest


def _records_end(text: bytes) -> int:
    """The end of the last whole record: after a newline outside quotes; 0 where there is none."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        before = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', before, end)
        end = before
    return end


def _header_end(text: bytes) -> int:
    end = 0
    while end < len(text):
        begin, end = end, text.find(b"\n", end) + 1 or len(text)
        if text[begin:end].strip() and not text.count(b'"', 0, end) % 2:
            break
    return end


def _read_csv(reader: "_Reader", path: Path, on_progress: ProgressCallback) -> ParsedFile:
    with path.open("rb") as stream:
        if reader.is_plain(stream.read(HEAD_BYTES)):
            stream.seek(0)
            try:
                return _read_plain_csv(reader, stream, path.stat().st_size, on_progress)
            except _NotPlainError:
                pass
    return _read_whole(reader.anew(), path.read_bytes(), on_progress)


def _read_whole(reader: "_Reader", body: bytes, on_progress: ProgressCallback) -> ParsedFile:
    reader.receive(source.unpacked(body))
    on_progress(len(body), len(body))
    return reader.parsed_file(hashlib.sha256(body).hexdigest())


def _read_plain_csv(reader: "_Reader", stream: BinaryIO, size: int, on_progress: ProgressCallback) -> ParsedFile:
    digest, header, done = hashlib.sha256(), b"", 0
    for block in csv_blocks(stream):
        digest.update(block)
        reader.receive(header + block, PLAIN)
        header = header or block[: _header_end(block)]
        done += len(block)
        on_progress(done, size)
    return reader.parsed_file(digest.hexdigest())


def _read_parquet(reader: "_Reader", path: Path, on_progress: ProgressCallback) -> ParsedFile:
    with source.hashed_parquet(path) as (file, sha256):
        names, done = [name for name in source.parquet_names(file) if name in reader.known], 0
        with source.intact():
            for batch in file.iter_batches(PARQUET_BLOCK_ROWS, columns=names):
                reader.receive(source.arrow_csv(pa.Table.from_batches([batch])), PLAIN)
                done += batch.num_rows
                on_progress(done, file.metadata.num_rows)
    return reader.parsed_file(sha256)


class _Reader:
    """Parses one file, block after block."""

    def __init__(self, contract: Contract, plan: Plan, *, skip: bool) -> None:
        self._contract = contract
        self._confirmed = contract.confirmed.name if contract.confirmed else ""
        self._plan = plan
        self._skip = skip
        self._readable: Contract | None = None
        self._builder: _PastTransactionsBuilder | None = None
        self._faults = list[Fault]()
        self._rows = 0
        self._skipped = 0

    @property
    def known(self) -> frozenset[str]:
        """The columns that are read where the file has them."""
        header = self._contract.names | {self._confirmed}
        return _readable_contract(self._contract, self._plan, header).names

    def anew(self) -> "_Reader":
        """A reader that has received nothing."""
        return _Reader(self._contract, self._plan, skip=self._skip)

    def is_plain(self, head: bytes) -> bool:
        """Whether a file that begins so is plain, as far as that tells."""
        usual = self._contract.reading.decimal is not Decimal.COMMA
        return usual and not head.startswith(source.GZIP) and self._dialect(head).is_plain

    def receive(self, body: bytes, dialect: Dialect | None = None) -> None:
        """Parses a block of a dialect, or a whole file whose dialect is to be found; it has its header.

        Raises:
            Refusal: it is no CSV, its header lacks a column, or too many cells are at fault.
            _NotPlainError: its numbers are not plain, as its dialect says they are.
        """
        try:
            names = matched(next(csv_records(body, dialect or self._dialect(body)), []), self._contract.spellings)
            self._readable = self._readable or _readable_contract(self._contract, self._plan, frozenset(names))
            rows = read_csv(self._readable, body, with_label=True, dialect=dialect)
            if dialect is not None and has_written_numbers(rows.faults):
                raise _NotPlainError
            self._add(self._readable, rows)
        except InputError as error:
            raise Refusal(self._error_text(error)) from None
        except csv.Error:
            raise Refusal(f"The file is not well-formed CSV after row {self._rows}: is a quote out of place?") from None

    def _dialect(self, body: bytes) -> Dialect:
        needed = _readable_contract(self._contract, self._plan, frozenset())
        return dialect_of(self._contract, body, needed.columns)

    def parsed_file(self, sha256: str) -> ParsedFile:
        """The content of the whole file.

        Raises:
            Refusal: cells are at fault, or there is no row.
        """
        if self._faults:
            raise Refusal(_bad_cells(self._faults))
        if self._builder is None or not self._rows:
            raise Refusal("The file has no rows.")
        builder, past = self._builder, self._builder.build()
        return ParsedFile(past, sha256, self._rows, self._skipped, builder.older, builder.untimed, builder.repeated)

    def _add(self, contract: Contract, reading: ParsedRows) -> None:
        table, label = reading.table, contract.first(Kind.LABEL)
        name = label.name if label else None
        labels = _labels_of(table, label)
        valid = labels != NOT_A_LABEL
        invalid = table.row_numbers[~valid].tolist()
        faults = [*reading.faults, *(Fault(row, name, FaultCode.NOT_AN_OPTION) for row in invalid)]
        self._builder = self._builder or _PastTransactionsBuilder(contract, self._plan, self._confirmed)
        self._builder.add(table.take(valid) if invalid else table, labels[valid])
        self._skipped += len({fault.row for fault in faults})
        if not self._skip:
            self._faults += [Fault((fault.row or 0) + self._rows, fault.column, fault.code) for fault in faults]
        self._rows += reading.rows
        if len(self._faults) > MAX_FAULTS:
            raise Refusal(_bad_cells(self._faults))

    def _error_text(self, error: InputError) -> str:
        if not error.faults:
            where = f" It is after row {self._rows}." if self._rows else ""
            return f"{error}{where}"
        if error.faults[0].row is not None:
            return _bad_cells([Fault((each.row or 0) + self._rows, each.column, each.code) for each in error.faults])
        shown = ", ".join(f"{fault.column or 'header'}: {fault.code}" for fault in error.faults[:SHOWN_FAULTS])
        return f"The file's header lacks what the version's history needs ({shown})."


def _bad_cells(faults: Iterable[Fault]) -> str:
    faults = sorted(faults, key=lambda fault: fault.row or 0)
    rows = len({fault.row for fault in faults})
    first = "; ".join(
        f"row {fault.row}, {fault.column or 'whole row'}: {fault.code}" for fault in faults[:SHOWN_FAULTS]
    )
    labels = LABEL_ADVICE if any(fault.code is FaultCode.NOT_AN_OPTION for fault in faults) else ""
    advice = f"Mend them, or leave them out: --skip.{labels}"
    return f"Nothing was loaded: {rows:,} rows are at fault. The first: {first}. {advice}"


def _readable_contract(contract: Contract, plan: Plan, header: frozenset[str]) -> Contract:
    """The contract that a file with this header is parsed by: only with what history needs, id and label.

    The label may be missing or empty: not every transaction of the past has been confirmed. A column may say when it
    was confirmed, as in a file to train on.
    """
    needed = {plan.time, *(name for window in plan.windows for name in (window.entity, window.column) if name)}
    labelling = {each.name for each in (contract.label, contract.confirmed) if each} & header
    columns = [
        column
        for column in contract.training_columns(header)
        if column.kind is Kind.ID or column.name in needed or column.name in labelling
    ]
    # A contract must have a feature; this one is not computed.
    features = (Feature("time", FeatureKind.HOUR_SIN, plan.time),)
    reading = replace(contract.reading, others=Others.IGNORE)
    return Contract(contract.name, tuple(columns), features, reading=reading)


class _PastTransactionsBuilder:
    """Collects past transactions, block after block."""

    def __init__(self, contract: Contract, plan: Plan, confirmed: str) -> None:
        """Takes the contract that the blocks are parsed by, and what says since when a label is known."""
        self._plan = plan
        self._confirmed = confirmed
        self._id, self._label = contract.first(Kind.ID), contract.first(Kind.LABEL)
        used = {name for layout in plan.layouts for name in layout.names} - {plan.time}
        kinds = {column.name: column.kind for column in contract.columns if column.name in used}
        self._numeric = [name for name, kind in kinds.items() if kind is Kind.NUMBER]
        self._numbers: dict[str, dict[str, int]] = {name: {} for name, kind in kinds.items() if kind is not Kind.NUMBER}
        self._blocks: list[PastTransactions] = []
        self._newest = -np.inf
        self.older = 0
        self.repeated = 0
        self.untimed = 0

    def add(self, table: Table, labels: NDArray[np.uint8]) -> None:
        """Adds a block; what no window can see any more is left out as soon as that is known."""
        seconds = table.columns[self._plan.time]
        timed = np.isfinite(seconds)
        self.untimed += int((~timed).sum())
        self._newest = max(self._newest, seconds[timed].max(initial=-np.inf))
        confirmed = table.columns.get(self._confirmed, np.full(table.rows, np.nan))
        usable = timed & self._is_visible(effective_seconds(seconds, labels, confirmed))
        self.older += int((timed & ~usable).sum())
        if usable.any():
            self._blocks.append(self._block(table.take(usable), labels[usable]))

    def build(self) -> PastTransactions | None:
        """All transactions; None where there is none."""
        if not self._blocks:
            return None
        past = self._join_blocks()
        visible = self._is_visible(effective_seconds(past.seconds, past.labels, past.confirmed))
        self.older += int((~visible).sum())
        past = past if visible.all() else past.take(visible)
        first = _is_first(past)
        self.repeated += int((~first).sum())
        return past if first.all() else past.take(first)

    def _is_visible(self, seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which transactions a window can still see, counted back from the newest."""
        visible: NDArray[np.bool_] = seconds >= self._newest - self._plan.seconds
        return visible

    def _block(self, table: Table, labels: NDArray[np.uint8]) -> PastTransactions:
        columns = table.columns
        ids = columns[self._id.name].tolist() if self._id else [""] * table.rows
        return PastTransactions(
            ids=UNKEYED.transactions.digests(ids),
            has_id=np.fromiter(map(bool, ids), np.bool_, len(ids)),
            seconds=columns[self._plan.time],
            labels=labels,
            confirmed=columns.get(self._confirmed, np.full(table.rows, np.nan)),
            numbers={name: columns[name] for name in self._numeric},
            codes={name: _number(numbers, columns[name]) for name, numbers in self._numbers.items()},
            texts={},
        )

    def _join_blocks(self) -> PastTransactions:
        blocks, self._blocks = self._blocks, []
        return PastTransactions(
            **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in ROW_ARRAYS},
            numbers={name: np.concatenate([block.numbers[name] for block in blocks]) for name in self._numeric},
            codes={name: np.concatenate([block.codes[name] for block in blocks]) for name in self._numbers},
            texts={name: np.array(list(numbers), dtype=object) for name, numbers in self._numbers.items()},
        )


def _labels_of(table: Table, label: Column | None) -> NDArray[np.uint8]:
    """What the label says of each row, UNLABELLED where the file has none, NOT_A_LABEL of a fault; shape (rows,)."""
    if label is None:
        return np.full(table.rows, UNLABELLED, dtype=np.uint8)
    return label.words.meanings(table.columns[label.name].tolist())


def _is_first(past: PastTransactions) -> NDArray[np.bool_]:
    """Which transactions are the first with their id, in order of time, or have none; shape (rows,)."""
    halves = past.ids.view([("high", ">u8"), ("low", ">u8")])
    order = np.lexsort((past.seconds, halves["low"], halves["high"]))
    is_repeat = np.zeros(past.rows, dtype=np.bool_)
    is_repeat[order[1:]] = halves[order[1:]] == halves[order[:-1]]
    return ~is_repeat | ~past.has_id


def _number(numbers: dict[str, int], texts: NDArray[Any]) -> Rows:
    """The number of each text; new texts get the next numbers."""
    return np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts.tolist()), np.int64, len(texts))

"""A file of past transactions, CSV or parquet, read whole before anything of it is loaded.

What is at fault is told by row and column, and refuses the file. It goes through the one reading path of serving,
block after block, so that memory holds the bytes of a block and what history needs of all rows, not the file.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from contract.faults import Fault, FaultCode, InputError
from contract.schema import CONFIRMED_COLUMN, Contract, Kind
from contract.table import MAX_FAULTS, ParsedRows, csv_records, read_csv
from history.plan import Plan
from operations.errors import OperationsError, in_words
from operations.history.past import NO_LABEL, ParsedFile, PastTransactionsBuilder, ProgressCallback, labels_of, read_by
from training import source
from training.data import FALSE, TRUE
from training.errors import TrainingError

BLOCK_BYTES = 1 << 23
BLOCK_ROWS = 1 << 17
"""Of a parquet file."""
SHOWN_FAULTS = 5


class Refusal(OperationsError):
    """A file that cannot be loaded as it is; nothing of it was."""


def read(contract: Contract, plan: Plan, path: Path, told: ProgressCallback, *, skip: bool = False) -> ParsedFile:
    """Reads a file, .parquet by its name and CSV otherwise.

    Args:
        contract: of the version whose history it is.
        plan: what history needs.
        path: of the file.
        told: hears how many bytes, or rows of a parquet file, are read.
        skip: leaves rows at fault out, and does not refuse the file for them.

    Raises:
        Refusal: it cannot be read, lacks a column, or has a cell at fault.
    """
    try:
        if source.is_parquet(path):
            return _read_parquet(_Reader(contract, plan, skip=skip), path, told)
        with path.open("rb") as stream:
            return _read_csv(_Reader(contract, plan, skip=skip), stream, path.stat().st_size, told)
    except TrainingError as error:
        raise Refusal(str(error)) from None
    except OSError as error:
        raise Refusal(in_words(error)) from None


def read_bytes(contract: Contract, plan: Plan, body: bytes, told: ProgressCallback) -> ParsedFile:
    """Reads the bytes of a CSV file; as :func:`read`."""
    return _read_csv(_Reader(contract, plan, skip=False), BytesIO(body), len(body), told)


def csv_blocks(stream: BinaryIO, size: int = BLOCK_BYTES) -> Iterator[bytes]:
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
    """Where the last record ends that is whole: behind a newline that is in no quotes; 0 where there is none."""
    end = text.rfind(b"\n") + 1
    quotes = text.count(b'"', 0, end)
    while end and quotes % 2:
        before = text.rfind(b"\n", 0, end - 1) + 1
        quotes -= text.count(b'"', before, end)
        end = before
    return end


def _header_end(text: bytes) -> int:
    """Where the first line that is not blank ends."""
    end = 0
    while end < len(text):
        begin, end = end, text.find(b"\n", end) + 1 or len(text)
        if text[begin:end].strip() and not text.count(b'"', 0, end) % 2:
            break
    return end


def _read_csv(reader: "_Reader", stream: BinaryIO, size: int, told: ProgressCallback) -> ParsedFile:
    digest, header, done = hashlib.sha256(), b"", 0
    for block in csv_blocks(stream):
        digest.update(block)
        reader.take(header + block)
        header = header or block[: _header_end(block)]
        done += len(block)
        told(done, size)
    return reader.found(digest.hexdigest())


def _read_parquet(reader: "_Reader", path: Path, told: ProgressCallback) -> ParsedFile:
    with source.hashed_parquet(path) as (file, sha256):
        names, done = [name for name in source.parquet_names(file) if name in reader.known], 0
        with source.intact():
            for batch in file.iter_batches(BLOCK_ROWS, columns=names):
                reader.take(source.arrow_csv(pa.Table.from_batches([batch])))
                done += batch.num_rows
                told(done, file.metadata.num_rows)
    return reader.found(sha256)


class _Reader:
    """Takes block after block of one file."""

    def __init__(self, contract: Contract, plan: Plan, *, skip: bool) -> None:
        self._contract = contract
        self._plan = plan
        self._skip = skip
        self._read_by: Contract | None = None
        self._gathered: PastTransactionsBuilder | None = None
        self._faults = list[Fault]()
        self._rows = 0
        self._skipped = 0

    @property
    def known(self) -> frozenset[str]:
        """The columns that may be read."""
        header = self._contract.names | {CONFIRMED_COLUMN}
        return read_by(self._contract, self._plan, header).names

    def take(self, body: bytes) -> None:
        """Takes a block with its header.

        Raises:
            Refusal: it is no CSV, its header lacks a column, or too many cells are at fault.
        """
        try:
            header = [name.strip() for name in next(csv_records(body), [])]
            self._read_by = self._read_by or read_by(self._contract, self._plan, frozenset(header))
            self._add(self._read_by, read_csv(self._read_by, body, with_label=True, others=header))
        except InputError as error:
            raise Refusal(self._refusal(error)) from None
        except csv.Error:
            raise Refusal(f"The file is not well-formed CSV after row {self._rows}: is a quote out of place?") from None

    def found(self, sha256: str) -> ParsedFile:
        """What all of it holds.

        Raises:
            Refusal: cells are at fault, or there is no row.
        """
        if self._faults:
            raise Refusal(_bad_cells(self._faults))
        if self._gathered is None or not self._rows:
            raise Refusal("The file has no rows.")
        gathered, past = self._gathered, self._gathered.past()
        return ParsedFile(past, sha256, self._rows, self._skipped, gathered.older, gathered.untimed, gathered.repeated)

    def _add(self, contract: Contract, reading: ParsedRows) -> None:
        table, label = reading.table, contract.first(Kind.LABEL)
        name = label.name if label else None
        labels = labels_of(table.columns[name] if name else None, table.rows, TRUE, FALSE)
        good = labels != NO_LABEL
        wrong = table.row_numbers[~good].tolist()
        faults = [*reading.faults, *(Fault(row, name, FaultCode.NOT_AN_OPTION) for row in wrong)]
        self._gathered = self._gathered or PastTransactionsBuilder(contract, self._plan)
        self._gathered.add(table.take(good) if wrong else table, labels[good])
        self._skipped += len({fault.row for fault in faults})
        if not self._skip:
            self._faults += [Fault((fault.row or 0) + self._rows, fault.column, fault.code) for fault in faults]
        self._rows += reading.rows
        if len(self._faults) > MAX_FAULTS:
            raise Refusal(_bad_cells(self._faults))

    def _refusal(self, error: InputError) -> str:
        if not error.faults:
            where = f" It is after row {self._rows}." if self._rows else ""
            return f"{error}{where}"
        if error.faults[0].row is not None:
            return _bad_cells([Fault((each.row or 0) + self._rows, each.column, each.code) for each in error.faults])
        shown = ", ".join(f"{fault.column or 'header'}: {fault.code}" for fault in error.faults[:SHOWN_FAULTS])
        return f"The file's header lacks what the version's history needs ({shown})."


def _bad_cells(faults: Iterable[Fault]) -> str:
    found = sorted(faults, key=lambda fault: fault.row or 0)
    rows = len({fault.row for fault in found})
    first = "; ".join(f"row {fault.row}, {fault.column or 'whole row'}: {fault.code}" for fault in found[:SHOWN_FAULTS])
    return f"Nothing was loaded: {rows:,} rows are at fault. The first: {first}. Mend them, or leave them out: --skip."

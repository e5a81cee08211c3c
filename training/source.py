"""The files that people bring, read alike to infer a schema and to train: what one refuses, so does the other.

Every refusal says what is wrong with the file and what to do, in words.
"""

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from contract.card_numbers import DIGITS, holds_long_number
from contract.dialect import PLAIN, Dialect, csv_records
from contract.faults import NotTextError
from training.errors import TrainingError

BLOCK_ROWS = 1 << 18
"""Rows of a parquet file that stand in memory as CSV text at a time."""
GZIP = b"\x1f\x8b"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
"""The column in which pandas keeps row numbers that have no name: no column of the data."""


def is_parquet(path: Path) -> bool:
    """Whether a file is parquet by its name; all others are CSV."""
    return path.suffix.lower() == ".parquet"


def read_bytes(path: Path, what: str = "data file") -> bytes:
    """The bytes of a file.

    Raises:
        TrainingError: it is not there, is a directory, or may not be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise TrainingError(f"The {what} {path} cannot be read: there is no such file.") from None
    except IsADirectoryError:
        raise TrainingError(f"The {what} {path} cannot be read: it is a directory.") from None
    except OSError as error:
        reason = error.strerror or "the system refuses it"
        raise TrainingError(f"The {what} {path} cannot be read: {reason}.") from error


def unpacked(body: bytes) -> bytes:
    """The bytes of a file that may be compressed by gzip.

    Raises:
        TrainingError: it is, and is damaged.
    """
    if not body.startswith(GZIP):
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        raise TrainingError("The data file is compressed, and cannot be unpacked: it is damaged.") from None


def records(body: bytes, dialect: Dialect = PLAIN) -> Iterator[list[str]]:
    """The header of a CSV file, without spaces around the names, then its rows.

    Raises:
        TrainingError: the bytes are not CSV in this dialect, which the iterator may find out late.
    """
    try:
        source = csv_records(body, dialect)
    except NotTextError as error:
        raise TrainingError(f"The data file cannot be used. {error} Save it as CSV in UTF-8.") from None
    return _well_formed(source)


def parquet_names(file: pa.parquet.ParquetFile) -> list[str]:
    """The names of a parquet file's columns.

    Raises:
        TrainingError: as :func:`checked_names`.
    """
    return checked_names([name for name in file.schema_arrow.names if not PANDAS_INDEX.fullmatch(name)])


@contextmanager
def hashed_parquet(path: Path) -> Iterator[tuple[pa.parquet.ParquetFile, str]]:
    """A parquet file and its SHA-256, both of the one file that was opened; as :func:`open_parquet`."""
    try:
        stream = path.open("rb")
    except OSError:
        read_bytes(path)
        raise
    with stream:
        with intact():
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        with open_parquet(path, stream) as file:
            yield file, sha256


def open_parquet(path: Path, stream: BinaryIO | None = None) -> pa.parquet.ParquetFile:
    """A parquet file, opened already or by its path, whose columns are not yet read; as :func:`read_bytes`."""
    try:
        return pa.parquet.ParquetFile(stream or path)
    except (OSError, pa.ArrowInvalid):
        read_bytes(path)
        raise TrainingError(f"The data file {path} is not a parquet file, or is a damaged one.") from None


def read_parquet(file: pa.parquet.ParquetFile) -> pa.Table:
    """All rows of a parquet file."""
    with intact():
        return file.read(columns=parquet_names(file))


def parquet_records(file: pa.parquet.ParquetFile) -> Iterator[list[str]]:
    """The header of a parquet file, then its rows, as a CSV upload of it would have them; read in blocks."""
    names = parquet_names(file)
    yield names
    for block in file.iter_batches(BLOCK_ROWS, columns=names):
        _, *rows = csv.reader(io.StringIO(arrow_csv(pa.Table.from_batches([block])).decode(), newline=""))
        yield from rows


@contextmanager
def intact() -> Iterator[None]:
    """Around the reading of a parquet file that was opened: it may yet be damaged."""
    try:
        yield
    except (OSError, pa.ArrowInvalid):
        raise TrainingError("The data file cannot be read to its end: the parquet file is damaged.") from None


def arrow_csv(table: pa.Table) -> bytes:
    """A table as the CSV file that a caller would upload."""
    sink = io.BytesIO()
    try:
        table = pa.table({name: _as_text(table[name]) for name in table.column_names})
        pa.csv.write_csv(table, sink, pa.csv.WriteOptions(quoting_style="needed"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise TrainingError(
            "A column of the parquet file is no text: keep columns of numbers, text, flags and times only."
        ) from None
    return sink.getvalue()


def _well_formed(source: Iterator[list[str]]) -> Iterator[list[str]]:
    row = 0
    try:
        for row, record in enumerate(source, 1):
            yield record if row > 1 else _header(record)
    except csv.Error:
        where = f"row {row}" if row else "the header"
        raise TrainingError(f"The data file is not well-formed CSV at {where}: is a quote out of place?") from None


def _header(record: list[str]) -> list[str]:
    return checked_names([name.strip() for name in record])


def checked_names(names: list[str]) -> list[str]:
    """The names of columns, which will stand in schema, model card and report, and so may hold no card number.

    Raises:
        TrainingError: one could: it is data, and no name.
    """
    for position, name in enumerate(names, 1):
        if holds_long_number(name):
            raise TrainingError(
                f"The name of column #{position} of the data file has {DIGITS} digits or more, as a card number has: "
                "write a line of names above the data, or rename the column."
            )
    return names


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What Arrow writes in another way than a CSV upload would: NaN is an empty cell, a flag 0 or 1."""
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int8())
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column

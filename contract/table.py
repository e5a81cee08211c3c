"""Transactions as columns, read from a CSV file or from JSON objects.

The rules of reading, the same for training and for serving:
rows are numbered from 1, without the header; blank lines are no rows; columns may come in any order; label and weight
may be left out and are ignored unless they are asked for; a fault names its row and column and never repeats the cell.
"""

import codecs
import csv
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract import cells, dates
from contract.faults import Fault, FaultCode, InputError, NotTextError
from contract.schema import Column, Contract, Kind

BLOCK_ROWS = 512
"""Rows converted at a time: few enough that their cells stay in the processor's cache, however large the file."""

DECODED_BYTES = 65_536
"""Bytes that are checked to be text at a time."""

MAX_FAULTS = 10_000
"""Faults after which an input is refused as a whole: each costs ten times the memory of the comma that can cause it."""


@dataclass(frozen=True, slots=True, eq=False)
class DictionaryEncoded:
    """A column of text by its distinct values: `indices` of shape (rows,) into `values`, none of which is there twice.

    What depends on the text alone is computed of each value once.
    """

    indices: NDArray[np.integer[Any]]
    values: NDArray[Any]

    def take(self, positions: NDArray[Any]) -> "DictionaryEncoded":
        """The rows at these positions (or under this mask), in this order."""
        return DictionaryEncoded(self.indices[positions], self.values)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Typed columns of equal length.

    Attributes:
        columns: by name; float64 (NaN missing) for numbers, weights and timestamps (seconds), text for the rest.
        row_numbers: int64, the number that each row had in its input.
        encoded: some columns of text once more, by their distinct values; a reader that has these gives them.
    """

    columns: Mapping[str, NDArray[Any]]
    row_numbers: NDArray[np.int64]
    encoded: Mapping[str, DictionaryEncoded] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows the table holds."""
        return len(self.row_numbers)

    def extended(self, columns: Mapping[str, NDArray[Any]]) -> "Table":
        """The same rows with more columns, of as many values each."""
        return Table({**self.columns, **columns}, self.row_numbers, self.encoded)

    def take(self, positions: NDArray[Any]) -> "Table":
        """The rows at these positions (or under this mask), in this order."""
        columns = {name: values[positions] for name, values in self.columns.items()}
        encoded = {name: each.take(positions) for name, each in self.encoded.items()}
        return Table(columns, self.row_numbers[positions], encoded)


@dataclass(frozen=True, slots=True, eq=False)
class ParsedRows:
    """The rows without a fault, the faults of the others, and the number of all rows."""

    table: Table
    faults: tuple[Fault, ...]
    rows: int


def read_csv(contract: Contract, body: bytes, *, with_label: bool = False, others: Collection[str] = ()) -> ParsedRows:
    """Reads a CSV file with a header, comma-separated, in UTF-8 (a byte order mark is fine).

    Columns that only `others` names may be there and are ignored, as is the label.

    Raises:
        InputError: it is no such file, its header does not fit the contract, or it has more than MAX_FAULTS faults.
    """
    records = csv_records(body)
    try:
        header = [name.strip() for name in next(records, [])]
        if not header:
            raise InputError("The file is empty.")
        columns = contract.columns if with_label else contract.inputs
        positions = _header_positions(contract.names.union(others), columns, header)
        return _parse_blocks(columns, _csv_blocks(records, columns, positions, len(header)))
    except csv.Error:
        raise InputError("The file is not well-formed CSV.") from None


def read_json(contract: Contract, objects: Sequence[object], *, others: Collection[str] = ()) -> ParsedRows:
    """Reads JSON objects, one a transaction; a key that is absent is a missing cell.

    Keys that only `others` names may be there and are ignored, as is the label.

    Raises:
        InputError: they have more than MAX_FAULTS faults.
    """
    return _parse_blocks(contract.inputs, _json_blocks(contract, objects, contract.names.union(others)))


def csv_records(body: bytes) -> Iterator[list[str]]:
    """The records of a CSV file as lists of cells, blank lines left out; the header is the first.

    Raises:
        NotTextError: the bytes are not UTF-8, or hold a NUL.
        csv.Error: raised by the iterator at a record that is not well-formed.
    """
    _require_text(body)
    # Decoded as it is read: a StringIO of the whole holds four bytes for each character.
    text = io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline="")
    # A generator, not filter(): megabytes of blank lines must not hold the interpreter's lock in one call.
    return (record for record in csv.reader(text, strict=True) if record)


def _require_text(body: bytes) -> None:
    """Decodes the bytes piece by piece, and keeps nothing."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(body), DECODED_BYTES):
            decoder.decode(body[begin : begin + DECODED_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise NotTextError("The file is not UTF-8 text.") from None
    if b"\0" in body:
        raise NotTextError("The file is binary, not text.")


@dataclass(frozen=True, slots=True, eq=False)
class _RowBlock:
    """Consecutive rows: numbers and cells (by column) of those with as many as the header, faults of the others."""

    rows: int
    numbers: NDArray[np.int64]
    cells: Mapping[str, cells.Cells]
    row_faults: Sequence[Fault]


def _header_positions(known: frozenset[str], columns: tuple[Column, ...], header: list[str]) -> dict[str, int]:
    """The position in the header of each column, by its name.

    In a fault, an unknown name is the caller's text and is not repeated: its position, from 1, stands for it.
    """
    if len(header) > _max_columns(known):
        raise InputError("The header has too many columns.", [Fault(None, None, FaultCode.TOO_MANY_COLUMNS)])
    faults = [Fault(None, name, FaultCode.MISSING_COLUMN) for name in _names(columns) if name not in header]
    for position, name in enumerate(header):
        if name not in known:
            faults.append(Fault(None, f"#{position + 1}", FaultCode.UNKNOWN_COLUMN))
        elif name in header[:position]:
            faults.append(Fault(None, name, FaultCode.DUPLICATE_COLUMN))
    if faults:
        raise InputError("The header does not fit the contract of the live model.", faults)
    return {name: header.index(name) for name in _names(columns)}


def _max_columns(known: frozenset[str]) -> int:
    """The number of names up to which each has a fault of its own."""
    return 2 * len(known) + 16


def _names(columns: Iterable[Column]) -> list[str]:
    return [name for column in columns for name in column.names]


def _csv_blocks(
    records: Iterator[list[str]], columns: tuple[Column, ...], positions: Mapping[str, int], width: int
) -> Iterator[_RowBlock]:
    first = 1
    while records_read := list(islice(records, BLOCK_ROWS)):
        numbers = np.arange(first, first + len(records_read))
        first += len(records_read)
        complete = np.array([len(record) == width for record in records_read])
        faults = [Fault(number, None, FaultCode.FIELD_COUNT) for number in numbers[~complete].tolist()]
        own = [record for record in records_read if len(record) == width]
        texts: Sequence[Sequence[str]] = list(zip(*own, strict=True)) or [()] * width
        converted = {
            column.name: cells.from_text(column, _column_texts(column, texts, positions)) for column in columns
        }
        yield _RowBlock(len(records_read), numbers[complete], converted, faults)


def _column_texts(column: Column, texts: Sequence[Sequence[str]], positions: Mapping[str, int]) -> Sequence[str]:
    own = texts[positions[column.name]]
    return list(map(dates.join_date_time, own, texts[positions[column.clock]])) if column.clock else own


def _json_blocks(contract: Contract, objects: Sequence[object], known: frozenset[str]) -> Iterator[_RowBlock]:
    for start in range(0, len(objects), BLOCK_ROWS):
        yield _json_block(contract, list(enumerate(objects[start : start + BLOCK_ROWS], start + 1)), known)


def _json_block(contract: Contract, numbered: Sequence[tuple[int, object]], known: frozenset[str]) -> _RowBlock:
    faults = [fault for number, value in numbered for fault in _object_faults(known, number, value)]
    bad = {fault.row for fault in faults}
    good = [(number, value) for number, value in numbered if number not in bad and isinstance(value, dict)]
    converted = {
        column.name: cells.from_json(column, [_json_value(column, value) for _, value in good])
        for column in contract.inputs
    }
    return _RowBlock(len(numbered), np.array([number for number, _ in good], dtype=np.int64), converted, faults)


def _json_value(column: Column, value: Mapping[str, object]) -> object:
    day = value.get(column.name)
    if not column.clock:
        return day
    clock = value.get(column.clock)
    if isinstance(day, str) and isinstance(clock, str):
        return dates.join_date_time(day, clock)
    # A value that is no text is no time; an absent one is missing.
    return None if {type(day), type(clock)} <= {str, NoneType} else False


def _object_faults(known: frozenset[str], number: int, value: object) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(number, None, FaultCode.NOT_AN_OBJECT)
    elif len(value) > _max_columns(known):
        yield Fault(number, None, FaultCode.TOO_MANY_COLUMNS)
    elif not value.keys() <= known:
        for position, name in enumerate(value):
            if name not in known:
                yield Fault(number, f"#{position + 1}", FaultCode.UNKNOWN_COLUMN)


def _parse_blocks(columns: tuple[Column, ...], blocks: Iterable[_RowBlock]) -> ParsedRows:
    tables, faults, rows = list[Table](), list[Fault](), 0
    for block in blocks:
        block_faults = [*block.row_faults, *_cell_faults(block)]
        tables.append(_good_rows(block, {fault.row for fault in block_faults}))
        rows += block.rows
        faults.extend(sorted(block_faults, key=lambda fault: fault.row or 0))
        if len(faults) > MAX_FAULTS:
            raise InputError(f"More than {MAX_FAULTS:,} cells are at fault.", faults)
    return ParsedRows(joined_tables(tables) if tables else _no_rows(columns), tuple(faults), rows)


def _good_rows(block: _RowBlock, bad: set[int | None]) -> Table:
    table = Table({name: cell.values for name, cell in block.cells.items()}, block.numbers)
    if not bad:
        return table
    return table.take(np.array([number not in bad for number in block.numbers.tolist()], dtype=bool))


def _cell_faults(block: _RowBlock) -> Iterator[Fault]:
    for name, column in block.cells.items():
        for position, code in column.faults.items():
            yield Fault(int(block.numbers[position]), name, code)


def _no_rows(columns: tuple[Column, ...]) -> Table:
    numeric = {*cells.NUMERIC_KINDS, Kind.TIMESTAMP}
    empty = {c.name: np.empty(0, dtype=np.float64 if c.kind in numeric else object) for c in columns}
    return Table(empty, np.empty(0, dtype=np.int64))


def joined_tables(tables: Sequence[Table]) -> Table:
    """The rows of all tables, which have the same columns, one table after the other."""
    if len(tables) == 1:  # A single transaction: a tenth of the time that reading it takes.
        return tables[0]
    columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in tables[0].columns}
    return Table(columns, np.concatenate([table.row_numbers for table in tables]))

"""Transactions as columns, read from a CSV file or from JSON objects.

The rules of reading, the same for training and for serving:
rows are numbered from 1, without the header; blank lines are no rows; columns may come in any order; label and weight
may be left out and are ignored unless they are asked for; a fault names its row and column and never repeats the cell.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract import cells
from contract.column_names import hint_of_unknown, is_unnamed, matched
from contract.dialect import UTF_8, Dialect, csv_records, find_dialect
from contract.faults import Fault, FaultCode, InputError
from contract.numbers import NumberEvidence, NumberParser
from contract.schema import Column, Contract, Decimal, JsonTypes, Kind, Others

BLOCK_ROWS = 512
"""Rows converted at a time: few enough that their cells stay in the processor's cache, however large the file."""

HINTED, HINTED_OBJECTS = 20, 5
"""Unknown names of a header or an object, and objects, for which the nearest known name is looked for: it costs 0.1 ms,
and answers list 20 faults."""

MAX_IGNORED = 10_000
"""Columns of a file of which the others are ignored."""

MAX_DEPTH = 4
"""Of objects in objects whose values are columns."""

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


def read_csv(
    contract: Contract,
    body: bytes,
    *,
    with_label: bool = False,
    others: Collection[str] = (),
    dialect: Dialect | None = None,
) -> ParsedRows:
    """Reads a file of text with separated fields and a header, in whatever dialect it is written.

    Args:
        contract: what its columns are.
        body: the file.
        with_label: whether the label is read; else it may be there and is ignored.
        others: names of columns that may be there besides, and are ignored.
        dialect: in which it is written, if that is known: then its numbers are plain. Else all that is found.

    Raises:
        InputError: it is no such file, its header does not fit the contract, or it has more than MAX_FAULTS faults.
    """
    columns = contract.columns if with_label else contract.inputs
    return read_columns(contract, body, columns, contract.names.union(others), dialect)


def read_columns(
    contract: Contract,
    body: bytes,
    columns: tuple[Column, ...],
    known: frozenset[str] = frozenset(),
    dialect: Dialect | None = None,
) -> ParsedRows:
    """As :func:`read_csv`, of some columns of the contract; `known` are names of those that may be there besides."""
    file = _CsvFile(contract, body, dialect or dialect_of(contract, body, columns), columns, known or contract.names)
    try:
        return file.parse_plain() if dialect else file.parse()
    except csv.Error:
        raise InputError("The file is not well-formed CSV.") from None


def read_json(contract: Contract, objects: Sequence[object], *, others: Collection[str] = ()) -> ParsedRows:
    """Reads JSON objects, one a transaction; a key that is absent is a missing cell.

    Keys that only `others` names may be there and are ignored, as is the label.

    Raises:
        InputError: they have more than MAX_FAULTS faults.
    """
    return _parse_blocks(contract.inputs, _json_blocks(contract, objects, contract.names.union(others)))


def dialect_of(contract: Contract, body: bytes, columns: Sequence[Column] | None = None) -> Dialect:
    """The dialect of a file, found by the contract's names; `columns` are those that a header must have."""
    needed = set(_names(contract.inputs if columns is None else columns))

    def count_known(header: Sequence[str]) -> int:
        if needed.issubset(header):
            return len(needed)
        return len(needed.intersection(matched(header, contract.spellings)))

    return find_dialect(body, count_known, len(needed), contract.reading.encoding or UTF_8)


@dataclass(frozen=True, slots=True, eq=False)
class _CsvFile:
    """A file, and how it is read.

    Attributes:
        columns: those that it must have.
        known: names of these, and of columns that may be there and are ignored.
    """

    contract: Contract
    body: bytes
    dialect: Dialect
    columns: tuple[Column, ...]
    known: frozenset[str]

    def parse(self) -> ParsedRows:
        """The rows. Numbers that are not plain are read by what the whole file says of its decimal sign."""
        if self.dialect.separator == "," and self.contract.reading.decimal is not Decimal.COMMA:
            try:
                rows = self.parse_plain()
            except InputError as error:
                if not has_written_numbers(error.faults):
                    raise
            else:
                if not has_written_numbers(rows.faults):
                    return rows
        return self._parse(self._number_parser())

    def parse_plain(self) -> ParsedRows:
        """The rows, whose numbers are written as float() takes them."""
        return self._parse(None)

    def _parse(self, parse_number: NumberParser | None) -> ParsedRows:
        found, header = self._opened()
        return _parse_blocks(self.columns, _csv_blocks(found, self.columns, header, parse_number))

    def _opened(self) -> tuple[Iterator[list[str]], "_Header"]:
        """The records behind the header, and the header."""
        found = csv_records(self.body, self.dialect)
        cells_found = [name.strip() for name in next(found, [])]
        if not cells_found:
            raise InputError("The file is empty.")
        names, ignores = matched(cells_found, self.contract.spellings), self.contract.reading.others is Others.IGNORE
        positions = _header_positions(self.known, self.columns, names, ignores=ignores)
        unnamed = [] if ignores else [at for at, name in enumerate(names) if name not in self.known]
        unnamed = [at for at in unnamed if is_unnamed(names[at])]
        return found, _Header(len(names), positions, unnamed)

    def _number_parser(self) -> NumberParser:
        """How the numbers of this file are written.

        Raises:
            InputError: a column has several currencies.
        """
        found, header = self._opened()
        numeric = [column.name for column in self.columns if column.kind in cells.NUMERIC_KINDS]
        evidence = NumberEvidence()
        for record in found:
            if len(record) >= header.width:
                for name in numeric:
                    evidence.add(name, record[header.positions[name]])
        if mixed := evidence.mixed_currencies:
            faults = [Fault(None, name, FaultCode.MIXED_CURRENCIES) for name in mixed]
            raise InputError("A column of numbers has several currencies.", faults)
        return evidence.parser(self.contract.reading.decimal, plain=self.dialect.separator == ",")


@dataclass(frozen=True, slots=True)
class _Header:
    """How many columns a file has, the position of each that is read, and the positions of those without a name."""

    width: int
    positions: Mapping[str, int]
    unnamed: Sequence[int]


def has_written_numbers(faults: Iterable[Fault]) -> bool:
    """Whether cells are no plain numbers, and may be numbers as people write them."""
    return any(fault.code is FaultCode.NOT_A_NUMBER for fault in faults)


@dataclass(frozen=True, slots=True, eq=False)
class _RowBlock:
    """Consecutive rows: numbers and cells (by column) of those with as many as the header, faults of the others."""

    rows: int
    numbers: NDArray[np.int64]
    cells: Mapping[str, cells.Cells]
    row_faults: Sequence[Fault]


def _header_positions(
    known: frozenset[str], columns: tuple[Column, ...], header: list[str], *, ignores: bool = False
) -> dict[str, int]:
    """The position in the header of each column, by its name.

    In a fault, the position of an unknown name, from 1, stands for it; the hint has the name where it is plainly one.
    """
    needed = _names(columns)
    if len(header) > (MAX_IGNORED if ignores else _max_columns(known)):
        raise InputError("The header has too many columns.", [Fault(None, None, FaultCode.TOO_MANY_COLUMNS)])
    faults = [Fault(None, name, FaultCode.MISSING_COLUMN) for name in needed if name not in header]
    in_header = not known.isdisjoint(header)
    for position, name in enumerate(header):
        if name in known:
            if name in header[:position]:
                faults.append(Fault(None, name, FaultCode.DUPLICATE_COLUMN))
        elif not ignores and not is_unnamed(name):
            hint = hint_of_unknown(name, needed, in_header=in_header) if len(faults) < HINTED else ""
            faults.append(Fault(None, f"#{position + 1}", FaultCode.UNKNOWN_COLUMN, hint))
    if faults:
        reason = "" if in_header else " None of its first lines has a name that the contract knows."
        raise InputError(f"The header does not fit the contract of the live model.{reason}", faults)
    return {name: header.index(name) for name in needed}


def _max_columns(known: frozenset[str]) -> int:
    """The number of names up to which each has a fault of its own."""
    return 2 * len(known) + 16


def _names(columns: Iterable[Column]) -> list[str]:
    return [name for column in columns for name in column.names]


def _csv_blocks(
    found: Iterator[list[str]], columns: tuple[Column, ...], header: _Header, parse_number: NumberParser | None
) -> Iterator[_RowBlock]:
    first, width = 1, header.width
    while block := list(islice(found, BLOCK_ROWS)):
        numbers = np.arange(first, first + len(block))
        first += len(block)
        block = [record if len(record) <= width else without_empty_end(record, width) for record in block]
        complete = np.array([len(record) == width for record in block])
        faults = [Fault(number, None, FaultCode.FIELD_COUNT) for number in numbers[~complete].tolist()]
        own = [record for record in block if len(record) == width]
        texts: Sequence[Sequence[str]] = list(zip(*own, strict=True)) or [()] * width
        _require_nothing_in(header.unnamed, texts)
        converted = {
            column.name: cells.from_text(column, _column_texts(column, texts, header.positions), parse_number)
            for column in columns
        }
        yield _RowBlock(len(block), numbers[complete], converted, faults)


def without_empty_end(record: list[str], width: int) -> list[str]:
    """A record without the empty cells behind those that have a name: some programs end each line in a separator."""
    return record[:width] if len(record) > width and not any(map(str.strip, record[width:])) else record


def _require_nothing_in(unnamed: Sequence[int], texts: Sequence[Sequence[str]]) -> None:
    """Columns without a name are ignored where they are empty, or number the rows in the first place."""
    for position in unnamed:
        filled = [text for text in texts[position] if text.strip()]
        if filled and not (position == 0 and all(text.strip().isdecimal() for text in filled)):
            fault = Fault(None, f"#{position + 1}", FaultCode.UNKNOWN_COLUMN, "without a name, and not empty")
            raise InputError("The header does not fit the contract of the live model.", [fault])


def _column_texts(column: Column, texts: Sequence[Sequence[str]], positions: Mapping[str, int]) -> Sequence[str]:
    names = column.names if column.kind is Kind.TIMESTAMP else (column.name,)
    return cells.joined_texts(column, [texts[positions[name]] for name in names])


def _json_blocks(contract: Contract, objects: Sequence[object], known: frozenset[str]) -> Iterator[_RowBlock]:
    for start in range(0, len(objects), BLOCK_ROWS):
        yield _json_block(contract, list(enumerate(objects[start : start + BLOCK_ROWS], start + 1)), known)


def _json_block(contract: Contract, numbered: Sequence[tuple[int, object]], known: frozenset[str]) -> _RowBlock:
    meant = [(number, _renamed(contract, known, value)) for number, value in numbered]
    ignores = contract.reading.others is Others.IGNORE
    faults = [fault for number, value in meant for fault in _object_faults(known, number, value, ignores=ignores)]
    bad = {fault.row for fault in faults}
    good = [(number, value) for number, value in meant if number not in bad and isinstance(value, dict)]
    lenient = contract.reading.json_types is JsonTypes.LENIENT
    converted = {
        column.name: cells.from_json(column, [_json_value(column, value) for _, value in good], lenient=lenient)
        for column in contract.inputs
    }
    return _RowBlock(len(meant), np.array([number for number, _ in good], dtype=np.int64), converted, faults)


def _renamed(contract: Contract, known: frozenset[str], value: object) -> object:
    """An object by the contract's names, where it has others: objects in it are reached by dotted ones."""
    if not isinstance(value, dict) or value.keys() <= known or len(value) > _max_columns(known):
        return value
    flat = dict(_flattened(value))
    names = matched(list(flat), contract.spellings)
    return dict(zip(names, flat.values(), strict=True)) if len(set(names)) == len(names) else value


def _flattened(value: Mapping[str, object], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    for key, each in value.items():
        if isinstance(each, dict) and each and depth < MAX_DEPTH:  # An empty one has no column, and is none unseen.
            yield from _flattened(each, f"{prefix}{key}.", depth + 1)
        else:
            yield f"{prefix}{key}", each


def _json_value(column: Column, value: Mapping[str, object]) -> object:
    if not column.clock and not column.parts:
        return value.get(column.name)
    return cells.joined_values(column, [value.get(name) for name in column.names])


def _object_faults(known: frozenset[str], number: int, value: object, *, ignores: bool) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(number, None, FaultCode.NOT_AN_OBJECT)
    elif ignores or value.keys() <= known:
        return
    elif len(value) > _max_columns(known):
        yield Fault(number, None, FaultCode.TOO_MANY_COLUMNS)
    else:
        in_header = not known.isdisjoint(value)
        for position, name in enumerate(value):
            if name not in known:
                is_hinted = number <= HINTED_OBJECTS and position < HINTED
                hint = hint_of_unknown(name, sorted(known), in_header=in_header) if is_hinted else ""
                yield Fault(number, f"#{position + 1}", FaultCode.UNKNOWN_COLUMN, hint)


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
            yield Fault(int(block.numbers[position]), name, code, seen=column.seen.get(position, ""))


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

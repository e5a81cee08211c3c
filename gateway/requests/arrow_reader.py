"""Clean CSV files, read by pyarrow in an eighth of the time that `contract.table.read_csv` takes.

It gives what that gives, or nothing: whatever could be read in two ways, or is at fault, is left to `read_csv`, which
explains it. A file is clean where

- it is UTF-8 text without NUL, its lines end in LF or CRLF, and none is long;
- a quote begins and ends a cell, and stands nowhere else;
- each record has as many cells as the header, which fits the contract;
- pyarrow takes each cell of a number or a time as what it is, and the contract's checks find no fault.

What pyarrow takes as a number float() takes too, and both round to the nearest; only words (nan, inf) are taken by
pyarrow and refused here. Times it takes with or without an offset, as the first row has it. All that
tests/gateway/requests/test_arrow_reader.py proves on generated files.
"""

import csv
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from contract import cells
from contract.cells import Cells
from contract.column_names import is_unnamed, matched
from contract.dialect import PLAIN, csv_records
from contract.faults import InputError
from contract.schema import Column, Contract, Decimal, Kind, TimeFormat
from contract.table import DictionaryEncoded, ParsedRows, Table, dialect_of, read_csv

MIN_BYTES = 32_768
"""Smaller files are left to `read_csv`: pyarrow takes half a millisecond to begin, and both are even at 20 kB."""
LINE_BYTES = 65_536
"""No line is twice as long; csv refuses cells of 131,072 characters."""
BLOCK_BYTES = 1 << 20
"""Parsed at a time."""
PIECE_ROWS = 16_384
"""Whose ids are made Python's at a time, in a millisecond."""
OFFSET = re.compile(r"(Z|[+-]\d\d:?\d\d)$", re.ASCII)
"""The end of a time that names its offset."""
FIRST_PLAIN, LAST_PLAIN = 0x28, 0x7E
"""Of ASCII: letters, digits, and most signs that ids are made of; no blank and no quote."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TEXT, CATEGORIES = pa.string(), pa.dictionary(pa.int32(), pa.string())
PLAIN_MOMENT, OFFSET_MOMENT = pa.timestamp("us"), pa.timestamp("us", "UTC")

pa.set_memory_pool(pa.system_memory_pool())  # Its own allocators keep what they had; see `gateway.allocator`.


class _NotCleanError(ValueError):
    """A file that `read_csv` must read."""


def read_clean_csv(contract: Contract, body: bytes, *, others: Collection[str] = ()) -> ParsedRows | None:
    """What `read_csv` gives for a clean file; None where it is not clean, or small."""
    if len(body) < MIN_BYTES:
        return None
    try:
        return _read(contract, body, others)
    except (_NotCleanError, pa.ArrowException, InputError, csv.Error):
        return None


def _read(contract: Contract, body: bytes, others: Collection[str]) -> ParsedRows:
    _require(contract.reading.decimal is not Decimal.COMMA)  # Then 1.201 is no plain number.
    _require(dialect_of(contract, body).is_plain)
    records = csv_records(body)  # Refuses what is no text.
    _require_plain_lines(body)
    header_end = body.find(b"\n") + 1
    read_csv(contract, body[:header_end], others=others, dialect=PLAIN)  # Refuses a header that does not fit.
    header, first = matched([name.strip() for name in next(records)], contract.spellings), next(records, [])
    _require(not any(map(is_unnamed, header)))
    _require(len(header) == len(first) and not body.startswith(BYTE_ORDER_MARK, header_end))
    places = {name: place for place, name in enumerate(header)}
    types = {places[name]: _type(column, first[places[name]]) for column in contract.inputs for name in column.names}
    parsed = _parse(pa.py_buffer(body).slice(header_end), len(header), types)
    pieces = {column.name: [parsed[f"{places[name]}"].chunk(0) for name in column.names] for column in contract.inputs}
    columns = {column.name: _values(column, pieces[column.name]) for column in contract.inputs}
    encoded = {column.name: each for column in contract.inputs if (each := _encoded(column, pieces[column.name]))}
    return ParsedRows(Table(columns, np.arange(1, len(parsed) + 1), encoded), (), len(parsed))


def _require(condition: bool) -> None:
    if not condition:
        raise _NotCleanError


def _require_plain_lines(body: bytes) -> None:
    """Lines that both readers end at the same places."""
    _require(b"\r" not in body or body.count(b"\r") == body.count(b"\r\n"))
    _require(all(body.find(b"\n", at, at + LINE_BYTES) >= 0 for at in range(0, len(body) - LINE_BYTES, LINE_BYTES)))
    if b'"' in body:
        _require_plain_quotes(np.frombuffer(b"\n%s\n" % body.removeprefix(BYTE_ORDER_MARK), np.uint8))


def _require_plain_quotes(text: NDArray[np.uint8]) -> None:
    """Each quote begins a cell or ends it, and no line ends between: by turns, from the first one on."""
    quotes, line_ends = np.flatnonzero(text == ord('"')), np.flatnonzero(text == ord("\n"))
    begins, ends = quotes[::2], quotes[1::2]
    _require(len(begins) == len(ends))
    _require(bool(np.isin(text[begins - 1], list(b",\n")).all() and np.isin(text[ends + 1], list(b",\r\n")).all()))
    _require(not (quotes.searchsorted(line_ends) % 2).any())


def _type(column: Column, first: str) -> pa.DataType:
    """What pyarrow reads a column as; `first` is its cell in the first row."""
    if column.is_number and not cells.missing_by_word(column):
        return pa.float64()
    is_iso = column.kind is Kind.TIMESTAMP and column.time_format is TimeFormat.ISO
    if is_iso and not column.clock and not column.missing_words:
        if OFFSET.search(first):
            return OFFSET_MOMENT
        return PLAIN_MOMENT if not column.zone else CATEGORIES
    return TEXT if column.kind is Kind.ID else CATEGORIES


def _parse(body: pa.Buffer, width: int, types: Mapping[int, pa.DataType]) -> pa.Table:
    """The columns by their places as text, each in one piece."""
    table = pa.csv.read_csv(
        pa.BufferReader(body),
        # One thread: the other processors are for the model, and for who waits with a single transaction.
        pa.csv.ReadOptions(
            column_names=[f"{place}" for place in range(width)], use_threads=False, block_size=BLOCK_BYTES
        ),
        pa.csv.ParseOptions(newlines_in_values=False),
        pa.csv.ConvertOptions(
            column_types={f"{place}": kind for place, kind in types.items()},
            include_columns=[f"{place}" for place in types],
            null_values=[""],
            strings_can_be_null=False,
            check_utf8=False,  # `csv_records` has checked.
        ),
    )
    return table.unify_dictionaries().combine_chunks()


def _values(column: Column, parsed: Sequence[pa.Array]) -> NDArray[np.float64]:
    converted = _cells(column, parsed)
    _require(not converted.faults)
    return converted.values


def _cells(column: Column, parsed: Sequence[pa.Array]) -> Cells:
    own = parsed[0]
    if pa.types.is_floating(own.type):
        values = own.to_numpy(zero_copy_only=False)
        _require(np.count_nonzero(np.isnan(values)) == own.null_count)
        return cells.from_numbers(column, values)
    if pa.types.is_timestamp(own.type):
        return cells.from_seconds(column, _seconds(own))
    if len(parsed) > 1:
        return cells.from_text(column, cells.joined_texts(column, [each.to_pylist() for each in parsed]))
    if column.kind is Kind.ID:
        return _ids(column, own)
    return _by_distinct(column, own)


def _seconds(moments: pa.Array) -> NDArray[np.float64]:
    """Seconds since 1970, NaN for a missing cell; exact, for no microsecond is lost in the centuries that are taken."""
    microseconds = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
    _require(not (np.abs(microseconds) >= cells.EXACT_INTEGERS).any())
    seconds: NDArray[np.float64] = microseconds / cells.MICROSECONDS
    return seconds


def _ids(column: Column, texts: pa.Array) -> Cells:
    """Each id by itself: hardly one is there twice."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[: len(texts) + 1]
    data, lengths = np.frombuffer(texts.buffers()[2], np.uint8)[: offsets[-1]], np.diff(offsets)
    is_plain = len(data) > 0 and data.min() >= FIRST_PLAIN and data.max() <= LAST_PLAIN
    if is_plain and not column.missing_words and lengths.min() > 0 and lengths.max() <= cells.MAX_TEXT_LENGTH:
        # Piece by piece: others wait for no long call.
        pieces = (texts.slice(at, PIECE_ROWS) for at in range(0, len(texts), PIECE_ROWS))
        return Cells(np.concatenate([piece.to_numpy(zero_copy_only=False) for piece in pieces]))
    return cells.from_text(column, texts.to_pylist())


def _encoded(column: Column, parsed: Sequence[pa.Array]) -> DictionaryEncoded | None:
    """A column of text that pyarrow has by its distinct values; None where two of them are read as one."""
    if column.kind not in {Kind.CATEGORY, Kind.ENTITY}:
        return None
    values = cells.from_text(column, parsed[0].dictionary.to_pylist()).values
    if len(set(values.tolist())) < len(values):
        return None
    return DictionaryEncoded(parsed[0].indices.to_numpy(), values)


def _by_distinct(column: Column, texts: pa.DictionaryArray) -> Cells:
    """Each distinct text is converted once."""
    converted = cells.from_text(column, texts.dictionary.to_pylist())
    return Cells(converted.values[texts.indices.to_numpy()], converted.faults)

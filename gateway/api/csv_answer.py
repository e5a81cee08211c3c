"""The answer to an upload as the uploaded file with columns added.

A plain file is answered with the very bytes that were sent: only the row ends are found, and only rows in which a cell
might be a formula are looked into. Any other file is read again and written anew; both give the same bytes.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.column_names import matched
from contract.dialect import Dialect, csv_records
from contract.numbers import NumberEvidence
from contract.schema import Decimal, Kind
from contract.table import dialect_of
from gateway.api import row_text
from gateway.models.score_result import ScoreResult

FORMULA = re.compile("(^|[;\t\r\n])[\\s\u200b-\u200f\u2060\ufeff\x00-\x1f]*[=+@\uff1d\uff0b\uff0d\uff20-]|^[\t\r\n]")
"""What a spreadsheet runs (OWASP, CSV injection): a sign at a cell's start, behind blanks or invisible characters, in
its full-width form too, or behind a separator at which some spreadsheets begin another cell."""
ADDED_COLUMNS = ("fraud_probability", "decision", "model_version")
SKIPPED = ("", "error", "")
PIECE_BYTES = 1_000_000
NO_HITS = np.empty(0, dtype=np.int64)
BEGINNING, SUSPECT = b"\1", b"\2"
_LEADS = b"\xc2\xe1\xe2\xe3\xef"
"""With one of these, UTF-8 begins each blank, invisible character and full-width sign of FORMULA."""
_SUSPECT_BYTES = bytes({*range(0x21)} - {*b"\r\n"}) + b"=+@-" + _LEADS
_CLASSES = bytes(
    BEGINNING[0] if byte in b",;\n" else SUSPECT[0] if byte in _SUSPECT_BYTES else 0 for byte in range(256)
)
"""A formula begins with a SUSPECT byte behind a BEGINNING one; a tab is both, and keeps a file from being plain."""


def as_csv(result: ScoreResult, body: bytes) -> bytes:
    """The uploaded rows in their order with ADDED_COLUMNS; a skipped row has the decision "error" and no score."""
    dialect = dialect_of(result.model.contract, body)
    plain = _plain_text(body, result.rows) if dialect.is_plain and not result.faults else None
    return _rewritten(result, body, dialect) if plain is None else _spliced(result, *plain)


def escape_formula(cell: str) -> str:
    """The cell, made text where a spreadsheet would run it."""
    return f"'{cell}" if FORMULA.search(cell) else cell


def _rewritten(result: ScoreResult, body: bytes, dialect: Dialect) -> bytes:
    """In UTF-8 with the separator and the decimal sign that were sent, from the header on."""
    records = csv_records(body, dialect)
    header = next(records)
    number_positions = _number_positions(result, header)
    comma = not dialect.is_plain and _has_decimal_comma(result, body, dialect, number_positions)
    encoded = io.BytesIO()
    text = io.TextIOWrapper(encoded, "utf-8", newline="")
    writer = csv.writer(text, delimiter=dialect.separator)
    writer.writerow([*map(escape_formula, header), *ADDED_COLUMNS])
    for record, added in zip(records, _added_cells(result, "," if comma else "."), strict=True):
        cells = _escaped(record, number_positions if added else frozenset())
        padding = [""] * (len(header) - len(cells))
        # The added cells stand under their headings whatever the row's own length: surplus cells come after them.
        writer.writerow([*cells[: len(header)], *padding, *(added or SKIPPED), *cells[len(header) :]])
    text.flush()
    return encoded.getvalue()


def _escaped(cells: Sequence[str], checked: frozenset[int]) -> list[str]:
    """The cells, each made text where a spreadsheet would run it, but for those that were checked to be numbers."""
    return [cell if position in checked else escape_formula(cell) for position, cell in enumerate(cells)]


def _number_positions(result: ScoreResult, header: Sequence[str]) -> frozenset[int]:
    """Where a scored row holds what was checked to be a number: its minus sign may stay."""
    contract = result.model.contract
    names = {column.name for column in contract.inputs if column.kind is Kind.NUMBER}
    meant = matched([name.strip() for name in header], contract.spellings)
    return frozenset(position for position, name in enumerate(meant) if name in names)


def _has_decimal_comma(result: ScoreResult, body: bytes, dialect: Dialect, positions: frozenset[int]) -> bool:
    """Whether the numbers of a file begin their fractions with a comma; else a spreadsheet misreads a probability."""
    evidence = NumberEvidence()
    for record in islice(csv_records(body, dialect), 1, None):
        for position in positions:
            evidence.add("", record[position] if position < len(record) else "")
    decimal = evidence.decimal
    return (result.model.contract.reading.decimal if decimal is Decimal.UNKNOWN else decimal) is Decimal.COMMA


def _added_cells(result: ScoreResult, decimal: str) -> Iterator[tuple[str, ...]]:
    """For each row of the upload its cells under ADDED_COLUMNS; none for a skipped row."""
    decimals = row_text.decimals(result.probabilities).to_pylist()
    probabilities = (each.decode()[:-1].replace(".", decimal) for each in decimals)
    added = zip(probabilities, result.decisions, map(str, result.versions), strict=True)
    good = set(result.row_numbers.tolist())
    for number in range(1, result.rows + 1):
        yield next(added) if number in good else ()


def _plain_text(body: bytes, rows: int) -> tuple[bytes, NDArray[np.int64]] | None:
    """A plain file with an end behind its last line, and where each of its lines ends.

    Plain is a file of one kind of line ends, without quotes, tabs and blank lines: its lines are its records, and its
    cells stand between commas as they are.
    """
    if b'"' in body or b"\t" in body:
        return None
    line_end = b"\r\n" if b"\r" in body else b"\n"
    text = body if body.endswith(line_end) else body + line_end
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    pure = len(line_end) == 1 or text.count(b"\r\n") == text.count(b"\r") == len(ends)
    return (text, ends) if pure and len(ends) == rows + 1 else None


def _spliced(result: ScoreResult, text: bytes, ends: NDArray[np.int64]) -> bytes:
    """The lines of a plain file as they were sent, with cells added behind each."""
    header = next(csv_records(text[: ends[0]]))
    lines = pc.binary_slice(row_text.cut(text, ends), 0, -2 if text.endswith(b"\r\n") else -1)
    checked = _number_positions(result, header)
    suspects = _suspect_rows(text, ends, len(header), checked)
    if len(suspects):
        lines = _with_escaped(lines, suspects, checked)
    rows = row_text.join_rows(
        lines,
        b",",
        row_text.decimals(result.probabilities),
        row_text.plain_texts(result.decisions),
        b",",
        row_text.json_numbers(np.array(result.versions), b"\r"),
        b"\n",
    )
    return ",".join([*map(escape_formula, header), *ADDED_COLUMNS]).encode() + b"\r\n" + rows


def _suspect_rows(text: bytes, ends: NDArray[np.int64], width: int, checked: frozenset[int]) -> NDArray[np.int64]:
    """The rows, from 0, in which a cell that was not checked to be a number might be a formula."""
    hits = np.concatenate([NO_HITS, *_suspect_beginnings(text, int(ends[0]) - 1)])
    if not len(hits):
        return hits
    data = np.frombuffer(text, np.uint8)
    rows = ends.searchsorted(hits, side="right") - (data[hits] != ord("\n"))
    commas = np.flatnonzero(data == ord(",")).searchsorted(hits, side="right")
    columns = commas - (rows + 1) * (width - 1)
    return np.unique(rows[~np.isin(columns, list(checked))])


def _suspect_beginnings(text: bytes, begin: int) -> Iterator[NDArray[np.int64]]:
    """Where a SUSPECT byte stands behind a BEGINNING one, piece by piece: others wait for no long call."""
    for at in range(begin, len(text) - 1, PIECE_BYTES):
        classes = text[at : at + PIECE_BYTES + 1].translate(_CLASSES)
        if BEGINNING + SUSPECT in classes:
            kinds = np.frombuffer(classes, np.uint8)
            yield np.flatnonzero((kinds[:-1] == BEGINNING[0]) & (kinds[1:] == SUSPECT[0])) + at


def _with_escaped(lines: pa.Array, rows: NDArray[np.int64], checked: frozenset[int]) -> pa.Array:
    """The lines, with the cells of these rows made text where a spreadsheet would run them."""
    escaped = [",".join(_escaped(line.decode().split(","), checked)) for line in lines.take(rows).to_pylist()]
    mask = np.zeros(len(lines), dtype=bool)
    mask[rows] = True
    return pc.replace_with_mask(lines, mask, row_text.plain_texts(escaped))

"""What would be read of a file, column by column, and what to do about the rest: for people, before they send it.

No value is in it: a cell is shown by its form, with a 9 for each digit and an a for each letter.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from contract.column_names import hint_of_unknown, is_unnamed, matched
from contract.dialect import SEPARATORS, UTF_8, Dialect, csv_records
from contract.faults import Fault, FaultCode, InputError
from contract.hints import hint_of
from contract.schema import Column, Contract, Kind, Others
from contract.table import ParsedRows, dialect_of, read_columns

FORM_ROWS = 1_000
"""Rows whose cells are looked at for the forms of a column."""
FORMS = 5
SHOWN_OTHERS = 100
"""Columns that the model does not know; each is compared with all that it knows."""
FORM_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class ColumnFault:
    """One kind of fault of a column: how many rows have it, the first of them, and what to do."""

    code: FaultCode
    rows: int
    first_row: int
    hint: str


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """A column that the model needs, as a file has it.

    Attributes:
        position: in the file, from 1, of the first where it is read from several; None where there is no such column.
        forms: of its cells, the most frequent first.
        filled: rows with a cell that is not empty, among those without a fault in their number of fields.
        distinct: different values of these.
        unknown: rows whose category the model does not know.
        faults: of its cells.
    """

    name: str
    kind: Kind
    position: int | None
    forms: tuple[str, ...] = ()
    filled: int = 0
    distinct: int = 0
    unknown: int = 0
    faults: tuple[ColumnFault, ...] = ()


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What would be read of a file.

    Attributes:
        scores_whole: whether every row would be scored.
        written: how the file is written, in words.
        rows: of the file.
        good_rows: those without a fault.
        columns: of the contract.
        others: columns that the model does not know, by their positions from 1, and what to do about them.
        row_faults: of whole rows.
        repeated_ids: rows whose id an earlier row has.
        problem: why nothing of it can be read; "" else.
    """

    scores_whole: bool
    written: str
    rows: int = 0
    good_rows: int = 0
    columns: tuple[CheckedColumn, ...] = ()
    others: dict[str, str] = field(default_factory=dict)
    row_faults: tuple[ColumnFault, ...] = ()
    repeated_ids: int = 0
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """The check as JSON holds it."""
        return asdict(self)


def check_file(contract: Contract, body: bytes) -> FileCheck:
    """Checks a file against a contract."""
    try:
        dialect = dialect_of(contract, body)
        header = [name.strip() for name in next(csv_records(body, dialect), [])]
        names = matched(header, contract.spellings)
        rows = _read_present(contract, body, names)
    except InputError as error:
        return FileCheck(False, "", problem=str(error))
    except csv.Error:
        return FileCheck(False, "", problem="The file is not well-formed CSV: is a quote out of place?")
    forms = _forms(body, dialect, len(names))
    columns = tuple(_checked(column, names, rows, forms) for column in contract.inputs)
    others = _others(contract, header, names)
    whole = not others and not rows.faults and rows.rows > 0 and all(each.position is not None for each in columns)
    return FileCheck(
        scores_whole=whole,
        written=_in_words(dialect),
        rows=rows.rows,
        good_rows=rows.table.rows,
        columns=columns,
        others=others,
        row_faults=_column_faults(None, [fault for fault in rows.faults if fault.column is None]),
        repeated_ids=_repeated(contract, rows),
    )


def _read_present(contract: Contract, body: bytes, names: Sequence[str]) -> ParsedRows:
    """The rows by those columns of the contract that are there; the others are told apart."""
    if not names:
        raise InputError("The file is empty.")
    present = tuple(column for column in contract.inputs if set(column.names) <= set(names))
    if not present:
        raise InputError("None of its first lines has a name that the model knows: is there a header?")
    return read_columns(contract.ignoring_others, body, present)


def _checked(column: Column, names: Sequence[str], rows: ParsedRows, forms: Sequence[Counter[str]]) -> CheckedColumn:
    if column.names[0] not in names or column.name not in rows.table.columns:
        return CheckedColumn(column.name, column.kind, None)
    position, values = names.index(column.names[0]), rows.table.columns[column.name]
    filled = ~np.isnan(values) if values.dtype.kind == "f" else values != ""
    own = [fault for fault in rows.faults if fault.column == column.name]
    unknown = filled & ~np.isin(values, list(column.values)) if column.values else np.zeros(len(values), dtype=np.bool_)
    return CheckedColumn(
        name=column.name,
        kind=column.kind,
        position=position + 1,
        forms=tuple(form for form, _ in forms[position].most_common(FORMS)) if position < len(forms) else (),
        filled=int(filled.sum()),
        distinct=len(set(values[filled].tolist())),
        unknown=int(unknown.sum()),
        faults=_column_faults(column, own),
    )


def _column_faults(column: Column | None, faults: Sequence[Fault]) -> tuple[ColumnFault, ...]:
    counts = Counter(fault.code for fault in faults)
    firsts = {fault.code: fault.row or 0 for fault in reversed(faults)}
    return tuple(ColumnFault(code, count, firsts[code], hint_of(column, code)) for code, count in counts.most_common())


def _others(contract: Contract, header: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What to do about each column that the model does not know, unless it ignores them."""
    if contract.reading.others is Others.IGNORE:
        return {}
    known = contract.names
    in_header = not known.isdisjoint(names)
    unknown = ((at, name) for at, name in enumerate(names, 1) if name not in known and not is_unnamed(name))
    return {
        f"#{position}": hint_of_unknown(header[position - 1], contract.input_names, in_header=in_header)
        for position, name in islice(unknown, SHOWN_OTHERS)
    }


def _repeated(contract: Contract, rows: ParsedRows) -> int:
    column = contract.first(Kind.ID)
    if column is None or column.name not in rows.table.columns:
        return 0
    ids = [each for each in rows.table.columns[column.name].tolist() if each]
    return len(ids) - len(set(ids))


def _forms(body: bytes, dialect: Dialect, width: int) -> list[Counter[str]]:
    """How often each form stands in the first cells of each column."""
    forms = [Counter[str]() for _ in range(width)]
    for record in islice(_records(body, dialect), FORM_ROWS):
        for counter, cell in zip(forms, record, strict=False):
            if cell.strip():
                counter[form_of_cell(cell.strip())] += 1
    return forms


def _records(body: bytes, dialect: Dialect) -> Iterator[list[str]]:
    records = csv_records(body, dialect)
    next(records, None)
    return records


def form_of_cell(cell: str) -> str:
    """The form of a cell: 9 for a digit, a or A for a letter, and ? for what is no ASCII sign; cut where it is long."""
    form = "".join(_form_of_character(each) for each in cell[:FORM_CHARACTERS])
    return f"{form}..." if len(cell) > FORM_CHARACTERS else form


def _form_of_character(each: str) -> str:
    if each.isdigit():
        return "9"
    if each.isalpha():
        return "A" if each.isupper() else "a"
    return each if each.isascii() and each.isprintable() else "?"


def _in_words(dialect: Dialect) -> str:
    encoding = "UTF-8" if dialect.encoding == UTF_8 else dialect.encoding
    above = f", with {dialect.skipped_lines} lines above the header" if dialect.skipped_lines else ""
    return f"{encoding}, {SEPARATORS.get(dialect.separator, dialect.separator)} between fields{above}"

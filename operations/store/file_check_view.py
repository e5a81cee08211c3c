"""`fraud check-file`: what a version would read of a file, as a page or as JSON."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contract.file_check import CheckedColumn, FileCheck
from contract.file_check import check_file as check_body
from operations.errors import OperationsError
from operations.store import version_archive
from operations.store.registry import Registry
from operations.store.release_record import read_record
from training import source
from training.errors import TrainingError


def check(store: Path, file: Path, version: int | None) -> FileCheck:
    """Checks a file against the contract of a version: the given one, else the live one, else the newest.

    Raises:
        OperationsError: there is no such version, or the file cannot be read, or is compressed and damaged.
    """
    registry = Registry(store)
    if version is None:
        live = read_record(store)
        version = live.version if live else registry.newest()
    try:
        body = source.unpacked(source.read_bytes(file))
    except TrainingError as error:
        raise OperationsError(str(error)) from None
    return check_body(version_archive.read_archive(registry, version).contract, body)


def as_json(check: FileCheck) -> str:
    """The check as JSON."""
    return json.dumps(check.to_json(), indent=1, ensure_ascii=False)


def view(check: FileCheck) -> RenderableType:
    """The check as a page: a table of columns, and below it all that there is to do."""
    if check.problem:
        return Text(check.problem)
    table = Table("column", "kind", "place", "filled", "distinct", "forms (9 a digit, a a letter)")
    for column in check.columns:
        place = "missing" if column.position is None else f"#{column.position}"
        forms = Text("  ".join(column.forms))
        table.add_row(column.name, column.kind, place, f"{column.filled:,}", f"{column.distinct:,}", forms)
    found = f"{check.rows:,} rows, {check.good_rows:,} of them without a fault. Read as {check.written}."
    verdict = "It would be scored whole." if check.scores_whole else "It would not be scored whole."
    return Group(Text(found), table, *map(Text, _todo(check)), Text(verdict))


def _todo(check: FileCheck) -> Iterator[str]:
    for column in check.columns:
        yield from _todo_of(column)
    for fault in check.row_faults:
        yield f"{fault.rows:,} rows, the first row {fault.first_row}: {fault.code}; {fault.hint}"
    for place, hint in check.others.items():
        yield f"Column {place} is not one of the model's: {hint}"
    if check.repeated_ids:
        yield f"{check.repeated_ids:,} rows have an id that an earlier row has: each id is for one transaction"


def _todo_of(column: CheckedColumn) -> Iterator[str]:
    if column.position is None:
        yield f'{column.name}: no such column; another name of it can be an alias in the schema (aliases = ["..."])'
    if column.unknown:
        yield f"{column.name}: {column.unknown:,} rows have a category that the model does not know"
    for fault in column.faults:
        yield f"{column.name}: {fault.code} in {fault.rows:,} rows, the first row {fault.first_row}; {fault.hint}"

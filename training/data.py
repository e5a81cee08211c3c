"""Labelled transactions, read for training: a CSV or parquet file through the one reading path of serving.

A parquet file is written out as CSV text in blocks and read like any other, so both give the same values. Columns
that the schema does not name are left out with a note (an upload would refuse them). A bad cell refuses the file:
its place and code are named, its value never. Rows come out in order of time; rows of equal time keep the file's
order.
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from contract.faults import Fault, Refused
from contract.schema import Contract, Kind
from contract.table import Reading, Table, csv_records, read_csv
from training.errors import TrainingError

BLOCK_ROWS = 1 << 18
"""Rows of a parquet file that stand in memory as CSV text at a time."""
SHOWN_FAULTS = 5
TRUE, FALSE = ("1", "1.0", "true", "True"), ("0", "0.0", "false", "False")
"""How a label may be written."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Transactions in order of time.

    Attributes:
        table: the columns of the schema; shape (rows,) each.
        labels: bool, shape (rows,): whether it was fraud.
        seconds: float64, shape (rows,): time of the transaction; None where the schema has no timestamp.
        sha256: of the file's bytes, in hexadecimal.
        notes: what a reader of the model card should know of the data.
    """

    table: Table
    labels: NDArray[np.bool_]
    seconds: NDArray[np.float64] | None
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many transactions there are."""
        return len(self.labels)


def load(contract: Contract, path: Path) -> Labelled:
    """Reads a file, .parquet by its name and CSV otherwise, with the columns of the contract.

    Raises:
        TrainingError: it cannot be read, lacks a column, or has a bad cell or label.
    """
    try:
        if path.suffix == ".parquet":
            return _load_parquet(contract, path)
        return from_csv(contract, path.read_bytes())
    except OSError as error:
        raise TrainingError(f"The data file {path} cannot be read: {error.strerror or error}.") from error


def from_csv(contract: Contract, body: bytes) -> Labelled:
    """Reads the bytes of a CSV file; as :func:`load`."""
    try:
        narrowed, notes = _named_columns(contract, body)
        reading = read_csv(contract, narrowed, with_label=True)
    except Refused as error:
        raise TrainingError(_refusal(error)) from error
    except csv.Error as error:
        raise TrainingError("The data file is not well-formed CSV.") from error
    return _labelled(contract, reading, hashlib.sha256(body).hexdigest(), notes)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as the CSV file that a caller would upload, timestamps in ISO 8601."""
    return _arrow_csv(pa.Table.from_pandas(frame, preserve_index=False))


def vocabulary(values: NDArray[Any], min_count: int, max_categories: int) -> tuple[str, ...]:
    """The values of a category that get a code: at least so often, the most frequent first, "" never."""
    counts = Counter(values.tolist())
    counts.pop("", None)
    frequent = sorted((-count, value) for value, count in counts.items() if count >= min_count)
    return tuple(value for _, value in frequent[:max_categories])


def _load_parquet(contract: Contract, path: Path) -> Labelled:
    try:
        file = pa.parquet.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise TrainingError(f"The data file {path} is not a parquet file.") from error
    names = [column.name for column in contract.columns if column.name in file.schema_arrow.names]
    extra = [name for name in file.schema_arrow.names if name not in names]
    with file:
        reading = _joined([_read_block(contract, block) for block in file.iter_batches(BLOCK_ROWS, columns=names)])
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return _labelled(contract, reading, sha256, _extra_note(extra))


def _read_block(contract: Contract, block: pa.RecordBatch) -> Reading:
    try:
        return read_csv(contract, _arrow_csv(pa.Table.from_batches([block])), with_label=True)
    except Refused as error:
        raise TrainingError(_refusal(error)) from error


def _joined(readings: Sequence[Reading]) -> Reading:
    """Consecutive blocks as one reading, the rows numbered through."""
    if not readings:
        raise TrainingError("The data file has no rows.")
    starts = np.cumsum([0, *(reading.rows for reading in readings)]).tolist()
    names = readings[0].table.columns
    columns = {name: np.concatenate([reading.table.columns[name] for reading in readings]) for name in names}
    pairs = list(zip(readings, starts, strict=False))
    numbers = np.concatenate([reading.table.row_numbers + start for reading, start in pairs])
    faults = tuple(
        Fault((fault.row or 0) + start, fault.column, fault.code)
        for reading, start in pairs
        for fault in reading.faults
    )
    return Reading(Table(columns, numbers), faults, starts[-1])


def _arrow_csv(table: pa.Table) -> bytes:
    table = pa.table({name: _as_text(table[name]) for name in table.column_names})
    sink = io.BytesIO()
    pa.csv.write_csv(table, sink, pa.csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue()


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


def _named_columns(contract: Contract, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The file without the columns that the schema does not name, and a note of their names."""
    records = csv_records(body)
    header = [name.strip() for name in next(records, [])]
    known = {column.name for column in contract.columns}
    extra = [name or "(no name)" for name in header if name not in known]
    if not extra:
        return body, ()
    places = [place for place, name in enumerate(header) if name in known]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([header[place] for place in places])
    writer.writerows(_narrowed(records, places, len(header)))
    return text.getvalue().encode(), _extra_note(extra)


def _narrowed(records: Iterator[list[str]], places: list[int], width: int) -> Iterator[list[str]]:
    """A record of the wrong length stays one: it must be refused, not mended."""
    for record in records:
        yield [record[place] for place in places] if len(record) == width else [""] * (len(places) + 1)


def _extra_note(extra: list[str]) -> tuple[str, ...]:
    if not extra:
        return ()
    return (f"Columns that the schema does not name were left out: {', '.join(extra)}. Uploads must not have them.",)


def _refusal(error: Refused) -> str:
    faults = error.faults
    if not faults:
        return f"The data file cannot be used. {error}"
    details = ", ".join(f"{fault.column or 'header'}: {fault.code}" for fault in faults[:SHOWN_FAULTS])
    return f"The data file's header does not fit the schema ({len(faults)} faults): {details}."


def _labelled(contract: Contract, reading: Reading, sha256: str, notes: tuple[str, ...]) -> Labelled:
    if reading.faults:
        raise TrainingError(_bad_cells(reading))
    if not reading.rows:
        raise TrainingError("The data file has no rows.")
    labels = _labels(contract, reading.table)
    time = contract.first(Kind.TIMESTAMP)
    if time is None:
        return Labelled(reading.table, labels, None, sha256, notes)
    return _in_order(Labelled(reading.table, labels, reading.table.columns[time.name], sha256, notes))


def _bad_cells(reading: Reading) -> str:
    counts = Counter(f"{fault.code} in {fault.column or 'the row'}" for fault in reading.faults)
    kinds = "; ".join(f"{count} x {what}" for what, count in counts.most_common(SHOWN_FAULTS))
    first = "; ".join(
        f"row {fault.row}, {fault.column or 'whole row'}: {fault.code}" for fault in reading.faults[:SHOWN_FAULTS]
    )
    return (
        f"The data has {len(reading.faults)} bad cells in {reading.rows} rows: {kinds}. The first: {first}. "
        'Mend the rows, or change the schema: missing = "allow", wider bounds, another kind or time_format.'
    )


def _labels(contract: Contract, table: Table) -> NDArray[np.bool_]:
    name = next(column.name for column in contract.columns if column.kind is Kind.LABEL)
    values = table.columns[name]
    fraud, genuine = np.isin(values, TRUE), np.isin(values, FALSE)
    bad = np.flatnonzero(~(fraud | genuine))
    if len(bad):
        raise TrainingError(
            f"The label {name} is neither 0 nor 1 in {len(bad)} rows, the first of them row "
            f"{table.row_numbers[bad[0]]}: write 1 for fraud and 0 otherwise."
        )
    labels: NDArray[np.bool_] = fraud
    return labels


def _in_order(data: Labelled) -> Labelled:
    """Sorted by time; rows without one come first, where they can only be trained on."""
    assert data.seconds is not None  # noqa: S101 - only called with times; mypy cannot see it.
    untimed = int(np.isnan(data.seconds).sum())
    if untimed == data.rows:
        raise TrainingError("The timestamp is missing in every row: name another column, or none, as the timestamp.")
    order = np.argsort(np.where(np.isnan(data.seconds), -np.inf, data.seconds), kind="stable")
    note = (f"{untimed} rows have no time and were placed before all others.",) if untimed else ()
    return Labelled(data.table.take(order), data.labels[order], data.seconds[order], data.sha256, (*data.notes, *note))

"""Labelled transactions, read for training: a CSV or parquet file through the one reading path of serving.

A parquet file is written out as CSV text in blocks and read like any other, so both give the same values. Columns
that the schema does not name are left out with a note (an upload would refuse them). A bad cell refuses the file:
its place and code are named, its value never. Rows come out in order of time; rows of equal time keep the file's
order.

A file may say since when each label is known (`confirmed_at`, written as the transactions' time, or the column that the
label names): history counts a fraud only from then on. Rows whose label is empty, or not known yet, stand apart:
nothing is learned from them, but they are the past of others (`training.labelled_history`).
"""

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from contract import cells
from contract.column_names import matched
from contract.dialect import PLAIN, Dialect
from contract.faults import Fault, FaultCode, InputError
from contract.labels import FRAUD, NOT_A_LABEL, UNLABELLED
from contract.normal_forms import normal_form
from contract.schema import CONFIRMED_COLUMN, Contract, Kind, Others, TextMatch
from contract.table import ParsedRows, Table, dialect_of, read_csv
from contract.windows import DAY
from training import source
from training.errors import TrainingError
from training.quantity import quantity

BLOCK_ROWS = source.BLOCK_ROWS
SHOWN_FAULTS = 5
LISTS_OF_WORDS = 'fraud = ["Yes"], genuine = ["No"] and unknown = ["pending"]'
"""How the words of a label are written in a schema."""
ADVICE = {
    FaultCode.MISSING: 'fill empty cells, or set missing = "allow" for their column',
    FaultCode.NOT_A_NUMBER: "write numbers as 1234.5, with a point, without separators and signs such as $ or %, name "
    'words for missing ones (missing_words = ["NULL"]) and set missing = "allow", or choose another kind',
    FaultCode.NOT_FINITE: 'name cells such as nan in missing_words and set missing = "allow", and write no number '
    "above 3.4e38",
    FaultCode.OUT_OF_BOUNDS: "mend the numbers, or widen minimum and maximum",
    FaultCode.NOT_A_DATE: "write times as 2026-01-31T18:05:00, or choose another time_format or kind",
    FaultCode.TOO_LONG: "shorten the text to 256 characters, or leave its column out of the schema",
    FaultCode.FIELD_COUNT: "give each row as many fields as the header has (a field with a comma in it needs quotes)",
}
"""What to do about the faults of each code."""
MIN_RELATIVE_WEIGHT = 1e-12
"""Of the largest weight: what is smaller counts for nothing, and is no number of transactions."""
WEIGHT_ADVICE = "write 1 as the weight of a row that stands for itself alone"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTransactions:
    """Transactions in order of time.

    Attributes:
        table: the columns of the schema; shape (rows,) each.
        labels: bool, shape (rows,): whether it was fraud.
        seconds: float64, shape (rows,): time of the transaction; None where the schema has no timestamp.
        sha256: of the file's bytes, in hexadecimal.
        notes: what a reader of the model card should know of the data.
        confirmed: float64, shape (rows,): since when the label is known, NaN where the file does not say; None where
            it says so of no row.
        weights: float64, shape (rows,): how many transactions each row stands for, above zero; None where no column
            of the schema is the weight.
        unlabelled: the transactions without a known label, which are in no other field; None without any.
    """

    table: Table
    labels: NDArray[np.bool_]
    seconds: NDArray[np.float64] | None
    sha256: str
    notes: tuple[str, ...] = ()
    confirmed: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    unlabelled: Table | None = None

    @property
    def rows(self) -> int:
        """How many transactions there are."""
        return len(self.labels)

    @property
    def row_weights(self) -> NDArray[np.float64]:
        """How many transactions each row stands for, shape (rows,)."""
        return np.ones(self.rows) if self.weights is None else self.weights

    def take(self, positions: NDArray[Any]) -> "LabelledTransactions":
        """The rows at these positions (or under this mask), in this order."""
        optional = (self.seconds, self.confirmed, self.weights)
        seconds, confirmed, weights = (None if each is None else each[positions] for each in optional)
        table, labels = self.table.take(positions), self.labels[positions]
        return replace(self, table=table, labels=labels, seconds=seconds, confirmed=confirmed, weights=weights)


def load(contract: Contract, path: Path) -> LabelledTransactions:
    """Reads a file, .parquet by its name and CSV otherwise, with the columns of the contract.

    Raises:
        TrainingError: it cannot be read, lacks a column, or has a bad cell or label.
    """
    if source.is_parquet(path):
        return _load_parquet(contract, path)
    return from_csv(contract, source.read_bytes(path))


def from_csv(contract: Contract, body: bytes) -> LabelledTransactions:
    """Reads the bytes of a CSV file; as :func:`load`."""
    sha256, body = hashlib.sha256(body).hexdigest(), source.unpacked(body)
    dialect = dialect_of(contract, body)
    header = matched(next(source.records(body, dialect), []), contract.spellings)
    readable = _for_training(contract, header)
    known = _known(readable, header)
    notes = _extra_note(contract, [name or "(no name)" for name in header if name not in known])
    try:
        reading = read_csv(readable.ignoring_others, body, with_label=True)
    except InputError as error:
        raise TrainingError(_refusal(error, body, dialect)) from error
    return _labelled(contract, reading, sha256, notes)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as the CSV file that a caller would upload, timestamps in ISO 8601."""
    return source.arrow_csv(pa.Table.from_pandas(frame, preserve_index=False))


def moment(contract: Contract, seconds: float) -> str | float:
    """A time as a reader of the model card wants it: ISO 8601 to the second, or seconds where the data has no dates."""
    column = contract.first(Kind.TIMESTAMP)
    if column is None or not column.time_format.is_dated:
        return float(seconds)
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def seconds_of(moment: str | float) -> float:
    """Reads what :func:`moment` wrote.

    Raises:
        ValueError, TypeError: it is no time.
    """
    return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)


def with_spellings(contract: Contract) -> Contract:
    """The contract by which a category's cells stay as they are spelled: a vocabulary is made of them."""
    columns = (
        replace(column, match=TextMatch.UNQUOTED) if column.match is TextMatch.NORMAL else column
        for column in contract.columns
    )
    return replace(contract, columns=tuple(columns))


def respelled(contract: Contract, data: LabelledTransactions) -> LabelledTransactions:
    """What was read with its spellings as this contract, whose categories have their values, reads it."""
    unlabelled = None if data.unlabelled is None else _respelled(contract, data.unlabelled)
    return replace(data, table=_respelled(contract, data.table), unlabelled=unlabelled)


def _respelled(contract: Contract, table: Table) -> Table:
    normal = [column for column in contract.columns if column.match is TextMatch.NORMAL]
    return table.extended({column.name: cells.respelled(column, table.columns[column.name]) for column in normal})


def vocabulary(values: NDArray[Any], min_count: int, max_categories: int, match: TextMatch) -> tuple[str, ...]:
    """The values of a category that get a code: at least so often, the most frequent first, "" never.

    Of the values that are one in normal form the most frequent stands for all, and they are counted together.
    """
    counts = Counter(values.tolist())
    counts.pop("", None)
    spellings, totals = dict[str, str](), Counter[str]()
    for value, count in sorted(counts.items(), key=lambda each: (-each[1], each[0])):
        form = normal_form(value) if match is TextMatch.NORMAL else value
        totals[spellings.setdefault(form, value)] += count
    frequent = sorted((-count, value) for value, count in totals.items() if count >= min_count)
    return tuple(value for _, value in frequent[:max_categories])


def _load_parquet(contract: Contract, path: Path) -> LabelledTransactions:
    with source.hashed_parquet(path) as (file, sha256):
        present = source.parquet_names(file)
        readable = _for_training(contract, present)
        names = _known(readable, present)
        extra = [name for name in present if name not in names]
        with source.intact():
            reading = _joined([_read_block(readable, block) for block in file.iter_batches(BLOCK_ROWS, columns=names)])
    return _labelled(contract, reading, sha256, _extra_note(contract, extra))


def _read_block(contract: Contract, block: pa.RecordBatch) -> ParsedRows:
    try:
        return read_csv(contract, source.arrow_csv(pa.Table.from_batches([block])), with_label=True, dialect=PLAIN)
    except InputError as error:
        raise TrainingError(_refusal(error)) from error


def _joined(readings: Sequence[ParsedRows]) -> ParsedRows:
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
    return ParsedRows(Table(columns, numbers), faults, starts[-1])


def _for_training(contract: Contract, header: Sequence[str]) -> Contract:
    """The contract to read a file with: labels may be missing, and it may say since when they are known.

    Raises:
        TrainingError: the schema names that column.
    """
    if any(column.name == CONFIRMED_COLUMN for column in contract.columns):
        raise TrainingError(
            f"The schema names {CONFIRMED_COLUMN}, which says since when a label is known and would tell the label: "
            "take it out of the schema; training reads it by itself."
        )
    return replace(contract, columns=contract.training_columns(header))


def _known(contract: Contract, header: list[str]) -> list[str]:
    """The contract's columns that the header has; an empty header is left to the reader to refuse."""
    known = [name for column in contract.columns for name in column.names if name in header]
    if header and not known:
        raise TrainingError("None of the schema's columns is in the header of the data file.")
    return known


def _extra_note(contract: Contract, extra: list[str]) -> tuple[str, ...]:
    if not extra:
        return ()
    way = "" if contract.reading.others is Others.IGNORE else " with columns=ignore"
    return (f"Columns that the schema does not name were left out: {', '.join(extra)}. Uploads may have them{way}.",)


def _refusal(error: InputError, body: bytes = b"", dialect: Dialect = PLAIN) -> str:
    faults = error.faults
    if not faults:
        # Reading it again finds the row that is not well-formed, and raises with its number.
        deque(source.records(body, dialect), maxlen=0)
    if not faults or faults[0].row is not None:
        return f"The data file cannot be used. {error}"
    details = ", ".join(f"{fault.column or 'header'}: {fault.code}" for fault in faults[:SHOWN_FAULTS])
    return f"The data file's header does not fit the schema ({quantity(len(faults), 'fault')}): {details}."


def _labelled(contract: Contract, reading: ParsedRows, sha256: str, notes: tuple[str, ...]) -> LabelledTransactions:
    if reading.faults:
        raise TrainingError(_bad_cells(contract, reading))
    if not reading.rows:
        raise TrainingError("The data file has no rows.")
    columns = dict(reading.table.columns)
    confirmed = None if contract.confirmed is None else columns.pop(contract.confirmed.name, None)
    labels, has_label = _labels(contract, reading.table)
    time = contract.first(Kind.TIMESTAMP)
    seconds = None if time is None else columns[time.name]
    rows = Table(columns, reading.table.row_numbers)
    result = LabelledTransactions(rows, labels, seconds, sha256, notes, confirmed, _weights(contract, rows))
    if time is not None and time.time_format.is_dated:
        result, has_label = _as_of_now(result, has_label)
    result = _without_unlabelled(result, has_label)
    result = result if time is None else _in_order(result)
    if contract.weight is None:
        return result
    stand_for = f"{quantity(result.rows, 'row')} for {float(result.row_weights.sum()):,.0f} transactions"
    note = f"Each row counts as often as its {contract.weight.name} says: {stand_for}."
    return replace(result, notes=(*result.notes, note))


def _bad_cells(contract: Contract, reading: ParsedRows) -> str:
    counts = Counter(f"{fault.code} in {fault.column or 'the row'}" for fault in reading.faults)
    kinds = "; ".join(f"{count} x {what}" for what, count in counts.most_common(SHOWN_FAULTS))
    first = "; ".join(
        f"row {fault.row}, {fault.column or 'whole row'}: {fault.code}" for fault in reading.faults[:SHOWN_FAULTS]
    )
    advice = "; ".join(dict.fromkeys(_advice(contract, fault) for fault in reading.faults))
    return (
        f"The data has {quantity(len(reading.faults), 'bad cell')} in {quantity(reading.rows, 'row')}: {kinds}. "
        f"The first: {first}. What to do: {advice}."
    )


def _advice(contract: Contract, fault: Fault) -> str:
    if contract.weight is not None and fault.column == contract.weight.name and fault.code is FaultCode.MISSING:
        return WEIGHT_ADVICE
    return ADVICE.get(fault.code, "mend the rows")


def _labels(contract: Contract, table: Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows were fraud, and which have a label; shape (rows,) both."""
    label = contract.label
    assert label is not None  # noqa: S101 - a schema has one; mypy cannot see it.
    meanings = label.words.meanings(table.columns[label.name].tolist())
    bad = np.flatnonzero(meanings == NOT_A_LABEL)
    if len(bad):
        raise TrainingError(
            f"The label {label.name} has another word than {label.words} in {quantity(len(bad), 'row')}, the first of "
            f"them row {table.row_numbers[bad[0]]}: write 1 for fraud and 0 otherwise, and leave it empty where nobody "
            f"knows; or list the words of the file below its [columns] table in the schema, each on one side: "
            f"{LISTS_OF_WORDS}."
        )
    return meanings == FRAUD, meanings != UNLABELLED


def _without_unlabelled(data: LabelledTransactions, has_label: NDArray[np.bool_]) -> LabelledTransactions:
    """Moves the rows without a known label to `unlabelled`.

    Raises:
        TrainingError: it is known of none.
    """
    if has_label.all():
        return data
    if not has_label.any():
        raise TrainingError(
            "No row has a label: write 1 where a transaction was fraud and 0 where it was not, or other words that the "
            f"label's {LISTS_OF_WORDS} in the schema say."
        )
    note = f"Rows without a label, from which nothing is learned; history counts them: {int((~has_label).sum()):,}."
    return replace(data.take(has_label), unlabelled=data.table.take(~has_label), notes=(*data.notes, note))


def _weights(contract: Contract, table: Table) -> NDArray[np.float64] | None:
    if contract.weight is None:
        return None
    name = contract.weight.name
    weights: NDArray[np.float64] = table.columns[name]
    bad = np.flatnonzero((weights <= 0) | (weights < MIN_RELATIVE_WEIGHT * weights.max(initial=0.0)))
    if len(bad):
        raise TrainingError(
            f"The weight {name} is not above zero in {quantity(len(bad), 'row')}, or nothing beside the largest, the "
            f"first of them row {table.row_numbers[bad[0]]}: it says how many transactions a row stands for; leave out "
            "rows that stand for none."
        )
    return weights


def _in_order(data: LabelledTransactions) -> LabelledTransactions:
    """Sorted by time; rows without one come first, where they can only be trained on."""
    assert data.seconds is not None  # noqa: S101 - only called with times; mypy cannot see it.
    untimed = int(np.isnan(data.seconds).sum())
    if untimed == data.rows:
        raise TrainingError("The timestamp is missing in every row: name another column, or none, as the timestamp.")
    order = np.argsort(np.where(np.isnan(data.seconds), -np.inf, data.seconds), kind="stable")
    note = (f"Rows without a time, placed before all others: {untimed:,}.",) if untimed else ()
    return replace(data.take(order), notes=(*data.notes, *note))


def _as_of_now(
    data: LabelledTransactions, has_label: NDArray[np.bool_]
) -> tuple[LabelledTransactions, NDArray[np.bool_]]:
    """Drops labels that are confirmed in the future, and notes transactions of the future.

    Raises:
        TrainingError: no label is known yet.
    """
    now = datetime.now(UTC).timestamp()
    assert data.seconds is not None  # noqa: S101 - only called with times; mypy cannot see it.
    seconds = data.seconds
    if coming := int((seconds > now + DAY).sum()):
        note = f"Rows of a time that is yet to come: {coming:,}. Is a clock wrong, or a date read in a wrong form?"
        data = replace(data, notes=(*data.notes, note))
    if data.confirmed is not None and (early := int((data.confirmed + DAY < seconds).sum())):
        note = f"Labels that were known before their transaction: {early:,}. Is it another moment, or in another form?"
        data = replace(data, notes=(*data.notes, note))
    if data.confirmed is not None and has_label.any():
        has_label = has_label & ~(data.confirmed > now)
        if not has_label.any():
            raise TrainingError(
                "No label is known yet: the moment since when each is lies in the future in every row that has one."
            )
    return data, has_label

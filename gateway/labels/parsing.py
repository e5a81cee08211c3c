"""Parses labels: a transaction's id, fraud or not, and since when that is known.

They are read as transactions are, cell by cell, with faults by row and column.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.faults import Fault, FaultCode, InputError, NotTextError
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TextMatch, TimeFormat
from contract.table import ParsedRows, read_json
from gateway.http.problems import NotLabels, NotSupported
from gateway.requests.payload import INLINE_OBJECTS, OnError, Payload
from history.layout import factorize

ID, FRAUD, CONFIRMED = "transaction_id", "fraud", "confirmed_at"
OPTIONS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
NO_OPTION = "-"
"""What stands for a JSON value that is neither true, false, 1 nor 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labels of distinct transactions.

    Attributes:
        ids: of the transactions, distinct.
        frauds: whether each is a fraud, shape (ids,).
        confirmed: since when that is known, in seconds as the transactions' time; NaN where not given; shape (ids,).
        codes: for each row without fault the position of its id in `ids`, shape (rows without fault,).
        numbers: the numbers of these rows in the request, of the same shape.
        faults: of the other rows.
        rows: all that were received.
    """

    ids: Sequence[str]
    frauds: NDArray[np.bool_]
    confirmed: NDArray[np.float64]
    codes: NDArray[np.int64]
    numbers: NDArray[np.int64]
    faults: Sequence[Fault]
    rows: int


def json_labels(objects: Sequence[object]) -> Payload:
    """The payload of JSON objects, one for each label; that of a CSV file is made as for transactions."""
    inline = len(objects) <= INLINE_OBJECTS
    return Payload(lambda contract, _: read_json(contract, list(map(_with_text, objects))), inline)


def read_labels(payload: Payload, time: TimeFormat, on_error: OnError, match: TextMatch = TextMatch.EXACT) -> Labels:
    """Reads labels of transactions whose time is written, and whose id is matched, like this.

    Raises:
        Problem: they are at fault.
    """
    try:
        reading = _read(payload, time, match)
    except NotTextError as error:
        raise NotSupported(str(error)) from None
    except InputError as error:
        in_header = error.faults and all(fault.row is None for fault in error.faults)
        detail = f"The columns are {ID}, {FRAUD} and {CONFIRMED}." if in_header else str(error)
        raise NotLabels(detail, error.faults) from None
    if not reading.rows:
        raise NotLabels("There is no label in it.")
    labels = _labels(reading)
    if labels.faults and on_error is OnError.REFUSE:
        raise NotLabels("Rows have faults; on_error=skip would take the others.", labels.faults)
    return labels


def label_columns(time: TimeFormat, match: TextMatch = TextMatch.EXACT) -> tuple[Column, ...]:
    """The columns of labels of transactions whose time is written, and whose id is matched, like this.

    A clock that may begin anywhere has no now: each label must then name its moment in it.
    """
    missing = Missing.ALLOW if time.is_dated else Missing.REFUSE
    confirmed = Column(CONFIRMED, Kind.TIMESTAMP, missing, time_format=time)
    return Column(ID, Kind.ID, match=match), Column(FRAUD, Kind.CATEGORY), confirmed


def _read(payload: Payload, time: TimeFormat, match: TextMatch) -> ParsedRows:
    """A file may be without the column of moments, where a label may be without one."""
    *columns, confirmed = label_columns(time, match)
    try:
        return payload.read(_contract(*columns, confirmed), ())
    except InputError as error:
        if confirmed.missing is Missing.REFUSE or error.faults != [Fault(None, CONFIRMED, FaultCode.MISSING_COLUMN)]:
            raise
    return payload.read(_contract(*columns), ())


def _contract(*columns: Column) -> Contract:
    return Contract("labels", columns, (Feature(FRAUD, FeatureKind.CATEGORY, FRAUD),))


def _labels(reading: ParsedRows) -> Labels:
    """Where several rows name one transaction, the last counts."""
    labels_read = [OPTIONS.get(text.lower()) for text in reading.table.columns[FRAUD].tolist()]
    usable = np.array([each is not None for each in labels_read], dtype=np.bool_)
    numbers = reading.table.row_numbers
    invalid = [Fault(number, FRAUD, FaultCode.NOT_AN_OPTION) for number in numbers[~usable].tolist()]
    table = reading.table.take(usable)
    codes, ids = factorize(table.columns[ID].tolist())
    last = np.empty(len(ids), dtype=np.int64)
    last[codes] = np.arange(table.rows)
    confirmed = table.columns.get(CONFIRMED, np.full(table.rows, np.nan))
    frauds = np.array([each for each in labels_read if each is not None], dtype=np.bool_)
    faults = sorted([*reading.faults, *invalid], key=lambda fault: fault.row or 0)
    return Labels(ids, frauds[last], confirmed[last], codes, table.row_numbers, faults, reading.rows)


def _with_text(value: object) -> object:
    """A JSON object in which `fraud` is text, as in a CSV file."""
    if not isinstance(value, dict) or value.get(FRAUD) is None:
        return value
    fraud = value[FRAUD]
    known = isinstance(fraud, bool | int | float) and fraud in (0, 1)
    return {**value, FRAUD: str(int(fraud)) if known else NO_OPTION}

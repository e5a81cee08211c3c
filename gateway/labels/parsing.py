"""Parses labels: a transaction's id, fraud or not, and since when that is known.

They are read as transactions are, cell by cell, with faults by row and column.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from time import time as now

import numpy as np
from numpy.typing import NDArray

from contract.column_names import name_form
from contract.faults import Fault, FaultCode, InputError, NotTextError
from contract.hints import hint_of
from contract.labels import ANSWERS, GENUINE, NOT_A_LABEL, USUAL_WORDS, LabelWords, normal_word, usual_meaning
from contract.labels import FRAUD as FRAUD_LABEL
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, Others
from contract.table import ParsedRows, read_json
from contract.windows import DAY
from gateway.http.problems import LISTED_FAULTS, NotLabels, NotSupported
from gateway.requests.payload import INLINE_OBJECTS, OnError, Payload
from history.layout import factorize

ID, FRAUD, CONFIRMED = "transaction_id", "fraud", "confirmed_at"
NO_OPTION = "-"
"""What stands for a JSON value that is no word, number or flag."""
OPTIONS = "expected true or false, 1 or 0, yes or no, fraud or legit, chargeback or genuine"


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


def json_labels(objects: Sequence[object], columns: Others = Others.REFUSE) -> Payload:
    """The payload of JSON objects, one for each label; that of a CSV file is made as for transactions."""

    def read(contract: Contract, _: Collection[str]) -> ParsedRows:
        contract = contract.ignoring_others if columns is Others.IGNORE else contract
        return read_json(contract, [_with_text(contract, value) for value in objects])

    return Payload(read, len(objects) <= INLINE_OBJECTS)


def read_labels(payload: Payload, contract: Contract, on_error: OnError) -> Labels:
    """Reads labels of transactions of this contract.

    Raises:
        Problem: they are at fault.
    """
    try:
        reading = _read(payload, contract)
    except NotTextError as error:
        raise NotSupported(str(error)) from None
    except InputError as error:
        in_header = error.faults and all(fault.row is None for fault in error.faults)
        detail = f"The columns are {ID}, {FRAUD} and {CONFIRMED}." if in_header else str(error)
        raise NotLabels(detail, _with_hints(contract, error.faults)) from None
    if not reading.rows:
        raise NotLabels("There is no label in it.")
    is_dated = contract.time is not None and contract.time.time_format.is_dated
    labels = _labels(reading, label_words(contract), now() + DAY if is_dated else np.inf)
    labels = replace(labels, faults=_with_hints(contract, labels.faults))
    refuse_faults(labels.faults, on_error)
    return labels


def refuse_faults(faults: Sequence[Fault], on_error: OnError) -> None:
    """Refuses labels whose rows have faults, unless these are to be skipped.

    Raises:
        NotLabels: they are.
    """
    if faults and on_error is OnError.REFUSE:
        raise NotLabels("Rows have faults; on_error=skip would take the others.", faults)


def label_columns(contract: Contract) -> tuple[Column, ...]:
    """The columns of labels of transactions of this contract, which may have the names that it gives them.

    A clock that may begin anywhere has no now: each label must then name its moment in it.
    """
    time = contract.time or Column("time", Kind.TIMESTAMP)
    identity, label = contract.first(Kind.ID) or Column(ID, Kind.ID), contract.label or Column(FRAUD, Kind.LABEL)
    missing = Missing.ALLOW if time.time_format.is_dated else Missing.REFUSE
    return (
        Column(ID, Kind.ID, match=identity.match, aliases=_own(identity.name, *identity.aliases)),
        # A label that asks what was genuine, as is_legit does, would be read the wrong way round.
        Column(FRAUD, Kind.CATEGORY, aliases=_own(label.name, *label.aliases) if _asks_fraud(label.words) else ()),
        Column(
            CONFIRMED,
            Kind.TIMESTAMP,
            missing,
            time_format=time.time_format,
            zone=time.zone,
            aliases=_own(label.confirmed) if label.time_format is time.time_format else (),
        ),
    )


def label_words(contract: Contract) -> LabelWords:
    """The words of the label of transactions of this contract."""
    return contract.label.words if contract.label else USUAL_WORDS


def _own(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name and name not in {ID, FRAUD, CONFIRMED})


def _asks_fraud(words: LabelWords) -> bool:
    """Whether Yes and 1, where they are words of a label, mean fraud in it, and No and 0 genuine."""
    return all(ANSWERS.get(word, FRAUD_LABEL) == FRAUD_LABEL for word in words.fraud) and all(
        ANSWERS.get(word, GENUINE) == GENUINE for word in words.genuine
    )


def _read(payload: Payload, contract: Contract) -> ParsedRows:
    """A file may be without the column of moments, where a label may be without one."""
    *columns, confirmed = label_columns(contract)
    absent = Fault(None, CONFIRMED, FaultCode.MISSING_COLUMN)
    try:
        return payload.read(_contract(*columns, confirmed), ())
    except InputError as error:
        if confirmed.missing is Missing.REFUSE or absent not in error.faults:
            raise
        if others := [fault for fault in error.faults if fault != absent]:
            raise InputError(str(error), others) from None
    return payload.read(_contract(*columns), ())


def _contract(*columns: Column) -> Contract:
    return Contract("labels", columns, (Feature(FRAUD, FeatureKind.CATEGORY, FRAUD),))


def _labels(reading: ParsedRows, words: LabelWords, latest: float) -> Labels:
    """Where several rows name one transaction, the last counts; `latest` is when a label may be confirmed."""
    table, faults = reading.table, list(reading.faults)
    meanings = _meanings(table.columns[FRAUD].tolist(), words)
    confirmed = table.columns.get(CONFIRMED, np.full(table.rows, np.nan))
    for column, code, bad in (
        (FRAUD, FaultCode.NOT_AN_OPTION, meanings == NOT_A_LABEL),
        (CONFIRMED, FaultCode.IN_FUTURE, confirmed > latest),
    ):
        faults += [Fault(number, column, code) for number in table.row_numbers[bad].tolist()]
    usable = (meanings != NOT_A_LABEL) & ~(confirmed > latest)
    table, frauds, confirmed = table.take(usable), meanings[usable] == FRAUD_LABEL, confirmed[usable]
    codes, ids = factorize(table.columns[ID].tolist())
    last = np.empty(len(ids), dtype=np.int64)
    last[codes] = np.arange(table.rows)
    faults.sort(key=lambda fault: fault.row or 0)
    return Labels(ids, frauds[last], confirmed[last], codes, table.row_numbers, faults, reading.rows)


def _meanings(texts: Sequence[str], words: LabelWords) -> NDArray[np.uint8]:
    """What each cell of `fraud` says; shape (texts,)."""
    by_text = {text: _meaning(text, words) for text in set(texts)}
    return np.fromiter((by_text[text] for text in texts), np.uint8, len(texts))


def _meaning(text: str, words: LabelWords) -> int:
    """An answer to the question whether it was fraud, else a word of the model's label, else one that is common."""
    meanings = (ANSWERS.get(normal_word(text), NOT_A_LABEL), words.meaning(text), usual_meaning(text))
    return next((each for each in meanings if each in {FRAUD_LABEL, GENUINE}), NOT_A_LABEL)


def _with_hints(contract: Contract, faults: Sequence[Fault]) -> Sequence[Fault]:
    """The faults, those that an answer spells out with what was expected."""
    columns, words = {column.name: column for column in label_columns(contract)}, label_words(contract)
    own = "" if words == USUAL_WORDS else f"; or as the model's label: {words}"
    hints = {FaultCode.NOT_AN_OPTION: f"{OPTIONS}{own}", FaultCode.MISSING: "each label needs it"}
    hinted = [
        replace(fault, hint=hints.get(fault.code) or hint_of(columns.get(fault.column or ""), fault.code, fault.seen))
        if not fault.hint
        else fault
        for fault in faults[:LISTED_FAULTS]
    ]
    return [*hinted, *faults[LISTED_FAULTS:]]


def _with_text(contract: Contract, value: object) -> object:
    """A JSON object in which `fraud` is text, as in a CSV file."""
    if not isinstance(value, dict):
        return value
    return {
        key: _text(own) if own is not None and contract.spellings.get(name_form(key)) == FRAUD else own
        for key, own in value.items()
    }


def _text(fraud: object) -> str:
    text = str(fraud).strip() if isinstance(fraud, bool | int | float | str) else ""
    return text or NO_OPTION

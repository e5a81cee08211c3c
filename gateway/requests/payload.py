"""From what a caller sent to the matrices that versions score, each by its own contract."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from contract.faults import InputError, NotTextError
from contract.features import to_matrix
from contract.schema import Contract
from contract.table import ParsedRows, Table, read_csv, read_json
from gateway.history.batch_writer import Values
from gateway.http.problems import NotScorable, NotSupported
from gateway.metrics import Metrics
from gateway.models.entity_sampling import sampled_rows
from gateway.models.serving_versions import AdoptedModel, ServingVersions
from history.plan import Plan

INLINE_BYTES = 16_384
"""A file up to this size is read in under a millisecond, less than handing it to a thread would add under load."""

INLINE_TRANSACTIONS = 100
"""Likewise for JSON objects."""

NO_ROWS = np.empty(0, dtype=np.int64)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class OnError(StrEnum):
    """What to do with a file that has bad rows: refuse it whole, or score the others and list them."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Payload:
    """What a caller sent, to be read by whichever contract.

    Attributes:
        read: takes a contract, and names that may be there and are not read; raises InputError.
        inline: it is small enough to be worked on between other requests; a larger one goes to a thread.
    """

    read: Callable[[Contract, Collection[str]], ParsedRows]
    inline: bool

    async def work(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Calls a function that takes the longer the larger this input is."""
        return function(*args, **kwargs) if self.inline else await asyncio.to_thread(function, *args, **kwargs)


def csv_payload(body: bytes) -> Payload:
    """A CSV file."""
    return Payload(lambda contract, others: read_csv(contract, body, others=others), len(body) <= INLINE_BYTES)


def json_payload(objects: Sequence[object]) -> Payload:
    """JSON objects, one a transaction."""
    inline = len(objects) <= INLINE_TRANSACTIONS
    return Payload(lambda contract, others: read_json(contract, objects, others=others), inline)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRows:
    """An input as the live version reads it.

    Attributes:
        reading: by the live contract, with the history of its rows.
        matrix: float32, shape (rows that were read, width of the live contract).
        chosen: positions of the rows, ascending, that the version on trial is to score; empty without a trial.
    """

    given: Payload
    serving: ServingVersions
    reading: ParsedRows
    matrix: NDArray[np.float32]
    chosen: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrialRows:
    """Rows as the version on trial reads them.

    Attributes:
        places: int64, their positions among the rows that the live contract read, ascending.
        matrix: float32, shape (places, width of the trial's contract).
        unreadable: chosen rows that the trial's contract cannot read.
    """

    places: NDArray[np.int64]
    matrix: NDArray[np.float32]
    unreadable: int


def read(given: Payload, serving: ServingVersions, on_error: OnError, metrics: Metrics) -> ParsedRows:
    """Reads an input by the live contract.

    Raises:
        Problem: it is at fault.
    """
    with metrics.stage("parse"):
        return _accepted(given, serving, on_error)


def prepare(
    given: Payload, serving: ServingVersions, reading: ParsedRows, past: Values, metrics: Metrics
) -> PreparedRows:
    """Makes the live version's matrix of what was read and of its history."""
    contract = serving.model.contract
    table = reading.table.extended(past)
    with metrics.stage("features"):
        matrix = to_matrix(contract, table)
    chosen = sampled_rows(contract, table, serving.trial.trial) if serving.trial else NO_ROWS
    return PreparedRows(given, serving, replace(reading, table=table), matrix, chosen)


def trial_rows_of(prepared: PreparedRows, tried: AdoptedModel) -> TrialRows:
    """The chosen rows as a version on trial reads them; one of another contract reads the whole input again."""
    live = prepared.serving.model.contract
    if not len(prepared.chosen) or tried.contract.fingerprint == live.fingerprint:
        return TrialRows(prepared.chosen, prepared.matrix[prepared.chosen], 0)
    try:
        table = prepared.given.read(tried.contract, live.names | prepared.serving.others).table
    except InputError:
        return no_trial_rows(prepared, unreadable=len(prepared.chosen))
    wanted = prepared.reading.table.row_numbers[prepared.chosen]
    both, ours, theirs = np.intersect1d(wanted, table.row_numbers, assume_unique=True, return_indices=True)
    places = prepared.chosen[ours]
    rows = _with_past(prepared, tried.contract, places, table.take(theirs))
    return TrialRows(places, to_matrix(tried.contract, rows), len(wanted) - len(both))


def _with_past(prepared: PreparedRows, contract: Contract, places: NDArray[np.int64], table: Table) -> Table:
    """The rows with the history features of a contract; neutral are those that the live columns cannot give."""
    plan = Plan.of([contract])
    if plan is None:
        return table
    known = prepared.reading.table.columns
    found = {name: known[name][places] for name in plan.names if name in known}
    return table.extended(plan.neutral(table.columns, table.rows) | found)


def no_trial_rows(prepared: PreparedRows, unreadable: int) -> TrialRows:
    """No row; so many of those that were chosen because the trial's contract cannot read them."""
    return TrialRows(NO_ROWS, prepared.matrix[NO_ROWS], unreadable)


def _accepted(given: Payload, serving: ServingVersions, on_error: OnError) -> ParsedRows:
    try:
        reading = given.read(serving.model.contract, serving.others)
    except NotTextError as error:
        raise NotSupported(str(error)) from None
    except InputError as error:
        raise NotScorable(str(error), error.faults) from None
    if not reading.rows:
        raise NotScorable("There is no transaction in it.")
    if reading.faults and on_error is OnError.REFUSE:
        raise NotScorable("Rows have faults; on_error=skip would score the others.", reading.faults)
    return reading

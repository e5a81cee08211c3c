"""From the bytes or objects of a request to the matrices that versions score, each by its own contract."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from contract.faults import InputError, NotTextError
from contract.features import to_matrix
from contract.hints import with_hints
from contract.notes import RowNotes
from contract.schema import Contract, Others
from contract.table import ParsedRows, Table, read_csv, read_json
from gateway.history.batch_writer import Values
from gateway.http.body_limit import LARGE_BODY_BYTES
from gateway.http.problems import LISTED_FAULTS, NotScorable, NotSupported
from gateway.metrics import Metrics
from gateway.models.entity_sampling import sampled_rows
from gateway.models.serving_versions import AdoptedModel, ServingVersions
from gateway.requests.arrow_reader import read_clean_csv
from history.plan import Plan

INLINE_BYTES = 16_384
"""A body up to this size is read in under a millisecond, less than handing it to a thread would add under load."""
INLINE_OBJECTS = 100
"""Up to this many JSON objects are converted in the event loop."""
LARGE_WORK = ThreadPoolExecutor(1, "large")
"""One thread for bodies of more than LARGE_BODY_BYTES: several that compute with numpy take the interpreter's lock from
each other at each call. Measured: eight files of 10 MB at once took 26 to 58 µs of the processor a row in as many
threads as would, and 15 in one."""
MEDIUM_WORK = ThreadPoolExecutor(1, "medium")
"""Likewise for bodies that are too large for the event loop, and no larger."""
NO_ROWS = np.empty(0, dtype=np.int64)
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class OnError(StrEnum):
    """What to do with a file that has bad rows: refuse it whole, or score the others and list them."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Payload:
    """The transactions of a request, not parsed yet: each version on trial may read them by a contract of its own.

    Attributes:
        read: takes a contract, and names of columns that may be there and are ignored; raises InputError.
        inline: whether it is small enough to be worked on in the event loop; else it goes to a thread.
        large: whether that is the thread of large ones, which are worked on one after the other.
    """

    read: Callable[[Contract, Collection[str]], ParsedRows]
    inline: bool
    large: bool = False

    async def work(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Calls a function whose time grows with the size of the payload: here, or in a thread where that is large."""
        if self.inline:
            return function(*args, **kwargs)
        call = partial(copy_context().run, function, *args, **kwargs)
        executor = LARGE_WORK if self.large else MEDIUM_WORK
        return await asyncio.get_running_loop().run_in_executor(executor, call)


def csv_payload(body: bytes, columns: Others = Others.REFUSE) -> Payload:
    """A CSV file; `columns` may have those ignored that a contract does not know."""
    return Payload(partial(_read_csv, body, columns), len(body) <= INLINE_BYTES, len(body) > LARGE_BODY_BYTES)


def _read_csv(body: bytes, columns: Others, contract: Contract, others: Collection[str]) -> ParsedRows:
    contract = contract.ignoring_others if columns is Others.IGNORE else contract
    return read_clean_csv(contract, body, others=others) or read_csv(contract, body, others=others)


def json_payload(objects: Sequence[object], columns: Others = Others.REFUSE) -> Payload:
    """JSON objects, one a transaction; `columns` as in `csv_payload`."""
    return Payload(partial(_read_json, objects, columns), len(objects) <= INLINE_OBJECTS)


def _read_json(objects: Sequence[object], columns: Others, contract: Contract, others: Collection[str]) -> ParsedRows:
    contract = contract.ignoring_others if columns is Others.IGNORE else contract
    return read_json(contract, objects, others=others)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRows:
    """A payload as the live version reads it.

    Attributes:
        rows: parsed by the live contract, with their history features.
        matrix: float32, shape (parsed rows, width of the live contract).
        noted: what is odd about them.
        trial_positions: int64, ascending: which rows the version on trial is to score; empty without a trial.
    """

    payload: Payload
    serving: ServingVersions
    rows: ParsedRows
    matrix: NDArray[np.float32]
    noted: RowNotes
    trial_positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TrialRows:
    """Rows as the version on trial reads them.

    Attributes:
        positions: int64, ascending, among the rows that the live contract parsed.
        matrix: float32, shape (positions, width of the trial's contract).
        unreadable: number of rows that the trial was to score and whose cells its contract cannot read.
    """

    positions: NDArray[np.int64]
    matrix: NDArray[np.float32]
    unreadable: int


def read(payload: Payload, serving: ServingVersions, on_error: OnError, metrics: Metrics) -> ParsedRows:
    """Parses a payload by the live contract.

    Raises:
        NotSupported: it is not text.
        NotScorable: it holds no transaction, or is at fault.
    """
    with metrics.stage("parse"):
        rows = _parse(payload, serving)
    if not rows.rows:
        raise NotScorable("There is no transaction in it.")
    if rows.faults and on_error is OnError.REFUSE:
        faults = with_hints(serving.model.contract, rows.faults, LISTED_FAULTS)
        raise NotScorable("Rows have faults; on_error=skip would score the others.", faults)
    return rows


def prepare(
    payload: Payload, serving: ServingVersions, rows: ParsedRows, history: Values, metrics: Metrics
) -> PreparedRows:
    """Makes the live version's matrix of parsed rows and their history features, and finds what is odd about them."""
    contract = serving.model.contract
    table = rows.table.extended(history)
    with metrics.stage("features"):
        matrix = to_matrix(contract, table)
        noted = serving.model.note_finder.find(table, matrix, time.time())
    positions = sampled_rows(contract, table, serving.trial.trial) if serving.trial else NO_ROWS
    return PreparedRows(payload, serving, replace(rows, table=table), matrix, noted, positions)


def trial_rows_of(prepared: PreparedRows, model: AdoptedModel) -> TrialRows:
    """The sampled rows as a version on trial reads them; one of another contract parses the whole payload again."""
    live, sampled = prepared.serving.model.contract, prepared.trial_positions
    if not len(sampled) or model.contract.fingerprint == live.fingerprint:
        return TrialRows(sampled, prepared.matrix[sampled], 0)
    try:
        table = prepared.payload.read(model.contract, live.names | prepared.serving.others).table
    except InputError:
        return no_trial_rows(prepared, unreadable=len(sampled))
    numbers = prepared.rows.table.row_numbers[sampled]
    readable, ours, theirs = np.intersect1d(numbers, table.row_numbers, assume_unique=True, return_indices=True)
    positions = sampled[ours]
    rows = _with_history(prepared, model.contract, positions, table.take(theirs))
    return TrialRows(positions, to_matrix(model.contract, rows), len(numbers) - len(readable))


def no_trial_rows(prepared: PreparedRows, unreadable: int) -> TrialRows:
    """No row; `unreadable` is how many of the sampled ones the trial's contract cannot read."""
    return TrialRows(NO_ROWS, prepared.matrix[NO_ROWS], unreadable)


def _with_history(prepared: PreparedRows, contract: Contract, positions: NDArray[np.int64], table: Table) -> Table:
    """The rows with a contract's history features, neutral where the live version's columns cannot give them."""
    plan = Plan.of([contract])
    if plan is None:
        return table
    live = prepared.rows.table.columns
    available = {name: live[name][positions] for name in plan.names if name in live}
    return table.extended(plan.default_values(table.columns, table.rows) | available)


def _parse(payload: Payload, serving: ServingVersions) -> ParsedRows:
    try:
        return payload.read(serving.model.contract, serving.others)
    except NotTextError as error:
        raise NotSupported(str(error)) from None
    except InputError as error:
        raise NotScorable(str(error), with_hints(serving.model.contract, error.faults, LISTED_FAULTS)) from None

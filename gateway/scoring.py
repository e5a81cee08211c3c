"""The use case: transactions in, a probability and a decision for each out, all by one version."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision
from contract.faults import Fault, NotText, Refused
from contract.features import to_matrix
from contract.schema import Contract, Kind
from contract.table import Reading, Table, read_csv, read_json
from gateway.live import Live, LiveModel
from gateway.metrics import Metrics
from gateway.model_server import ModelServer
from gateway.problems import DeadlineExceeded, ModelServerWrong, NotScorable, NotSupported

INLINE_BYTES = 16_384
"""A file up to this size is read in under a millisecond, less than handing it to a thread would add under load."""

INLINE_TRANSACTIONS = 100
"""Likewise for JSON objects."""


class OnError(StrEnum):
    """What to do with a file that has bad rows: refuse it whole, or score the others and list them."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Transactions with their scores, in the order in which they came.

    Attributes:
        row_numbers: of the scored rows; a skipped row's number is missing.
        ids: of the scored rows, None where the contract has no id.
        probabilities: float32.
        rows: of the whole input, skipped ones included.
        faults: of the skipped rows.
    """

    model: LiveModel
    row_numbers: NDArray[np.int64]
    ids: Sequence[str | None]
    probabilities: NDArray[np.float32]
    decisions: Sequence[Decision]
    rows: int
    faults: Sequence[Fault]

    @property
    def flagged(self) -> int:
        """How many are not approved."""
        return sum(decision is not Decision.APPROVE for decision in self.decisions)


class Scorer:
    """Scores files and transactions by the live model, within the deadline."""

    def __init__(self, live: Live, server: ModelServer, metrics: Metrics, deadline_seconds: float) -> None:
        """Takes its collaborators."""
        self._live = live
        self._server = server
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds

    async def score_csv(self, body: bytes, on_error: OnError) -> Scored:
        """Scores a CSV file.

        Raises:
            Problem: the file is at fault, or it cannot be scored now.
        """
        model = self._live.model
        inline = len(body) <= INLINE_BYTES
        return await self._score(model, lambda: read_csv(model.contract, body), on_error, inline=inline)

    async def score_json(self, objects: Sequence[object], on_error: OnError) -> Scored:
        """Scores JSON objects, one a transaction.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        model = self._live.model
        inline = len(objects) <= INLINE_TRANSACTIONS
        return await self._score(model, lambda: read_json(model.contract, objects), on_error, inline=inline)

    async def _score(self, model: LiveModel, read: Callable[[], Reading], on_error: OnError, *, inline: bool) -> Scored:
        prepare = partial(self._prepare, model.contract, read, on_error)
        try:
            async with asyncio.timeout(self._deadline_seconds):
                reading, matrix = prepare() if inline else await asyncio.to_thread(prepare)
                probabilities = await self._probabilities(model, matrix)
        except TimeoutError:
            raise DeadlineExceeded from None
        if inline:
            return self._decided(model, reading, probabilities)
        return await asyncio.to_thread(self._decided, model, reading, probabilities)

    def _prepare(
        self, contract: Contract, read: Callable[[], Reading], on_error: OnError
    ) -> tuple[Reading, NDArray[np.float32]]:
        with self._metrics.stage("parse"):
            reading = _accepted(read, on_error)
        with self._metrics.stage("features"):
            return reading, to_matrix(contract, reading.table)

    async def _probabilities(self, model: LiveModel, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(matrix):
            return np.empty(0, dtype=np.float32)
        with self._metrics.stage("model"):
            try:
                return await self._server.score(model.version, model.contract.fingerprint, matrix)
            except ModelServerWrong:
                self._live.doubt(model)
                raise

    def _decided(self, model: LiveModel, reading: Reading, probabilities: NDArray[np.float32]) -> Scored:
        decisions = model.bands.decide(probabilities)
        self._metrics.predictions(model.version, decisions)
        return Scored(
            model=model,
            row_numbers=reading.table.row_numbers,
            ids=_ids(model.contract, reading.table),
            probabilities=probabilities,
            decisions=decisions,
            rows=reading.rows,
            faults=reading.faults,
        )


def _accepted(read: Callable[[], Reading], on_error: OnError) -> Reading:
    try:
        reading = read()
    except NotText as error:
        raise NotSupported(str(error)) from None
    except Refused as error:
        raise NotScorable(str(error), error.faults) from None
    if not reading.rows:
        raise NotScorable("There is no transaction in it.")
    if reading.faults and on_error is OnError.REFUSE:
        raise NotScorable("Rows have faults; on_error=skip would score the others.", reading.faults)
    return reading


def _ids(contract: Contract, table: Table) -> list[Any]:
    column = contract.first(Kind.ID)
    return table.columns[column.name].tolist() if column else [None] * table.rows

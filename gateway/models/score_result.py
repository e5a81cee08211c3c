"""Transactions with their scores: which version scored each row, and what that version decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision
from contract.faults import Fault
from contract.schema import Contract, Kind
from contract.table import ParsedRows, Table
from gateway.models.model_calls import ModelResponse
from gateway.models.serving_versions import AdoptedModel


@dataclass(frozen=True, eq=False)
class PartialScores:
    """Rows that one version scored in one call.

    Attributes:
        places: int64, their positions among the rows that were read.
    """

    model: AdoptedModel
    places: NDArray[np.int64]
    answer: ModelResponse

    @cached_property
    def decisions(self) -> list[Decision]:
        """By the version's own thresholds, or this deployment's where it overrides them."""
        return self.model.bands.decide(self.answer.probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreResult:
    """Transactions with their scores, in the order in which they came.

    Attributes:
        model: the live version of the request, whose contract read them.
        row_numbers: of the scored rows; a skipped row's number is missing.
        ids: of the scored rows, None where the contract has no id.
        probabilities: float32.
        versions: which version scored each row.
        rows: of the whole input, skipped ones included.
        faults: of the skipped rows.
        degraded: parts of the service that could not help: "history".
    """

    model: AdoptedModel
    row_numbers: NDArray[np.int64]
    ids: Sequence[str | None]
    probabilities: NDArray[np.float32]
    decisions: Sequence[Decision]
    versions: Sequence[int]
    rows: int
    faults: Sequence[Fault]
    degraded: tuple[str, ...] = ()

    @property
    def flagged(self) -> int:
        """How many are not approved."""
        return sum(decision is not Decision.APPROVE for decision in self.decisions)


def scored(model: AdoptedModel, reading: ParsedRows, parts: Sequence[PartialScores]) -> ScoreResult:
    """The parts as one; together they hold each row that was read once."""
    whole = _whole(parts, reading.table.rows)
    return ScoreResult(
        model=model,
        row_numbers=reading.table.row_numbers,
        ids=_ids(model.contract, reading.table),
        probabilities=whole.probabilities,
        decisions=whole.decisions,
        versions=whole.versions,
        rows=reading.rows,
        faults=reading.faults,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    probabilities: NDArray[np.float32]
    decisions: Sequence[Decision]
    versions: Sequence[int]


def _whole(parts: Sequence[PartialScores], rows: int) -> _Whole:
    if len(parts) == 1:
        part = parts[0]
        return _Whole(part.answer.probabilities, part.decisions, [part.model.version] * rows)
    probabilities, versions = np.empty(rows, dtype=np.float32), np.empty(rows, dtype=np.int64)
    decisions = [Decision.APPROVE] * rows
    for part in parts:
        probabilities[part.places], versions[part.places] = part.answer.probabilities, part.model.version
        for place, decision in zip(part.places.tolist(), part.decisions, strict=True):
            decisions[place] = decision
    return _Whole(probabilities, decisions, versions.tolist())


def _ids(contract: Contract, table: Table) -> list[Any]:
    column = contract.first(Kind.ID)
    return table.columns[column.name].tolist() if column else [None] * table.rows

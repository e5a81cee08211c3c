"""Transactions with their scores: which version scored each row, and what that version decides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision
from contract.faults import Fault
from contract.notes import NO_NOTES, RowNotes
from contract.schema import Kind
from contract.table import ParsedRows
from gateway.models.model_calls import ModelResponse
from gateway.models.serving_versions import AdoptedModel


@dataclass(frozen=True, eq=False)
class PartialScores:
    """Rows that one version scored in one call; `positions` are among the parsed rows of the request."""

    model: AdoptedModel
    positions: NDArray[np.int64]
    response: ModelResponse

    @cached_property
    def decisions(self) -> list[Decision]:
        """By the version's own thresholds, or this deployment's where it overrides them."""
        return self.model.bands.decide(self.response.probabilities)


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
        scored_by: the versions that scored any row.
        degraded: parts of the service that could not help: "history".
        noted: what is odd about the rows that were read.
    """

    model: AdoptedModel
    row_numbers: NDArray[np.int64]
    ids: Sequence[str | None]
    probabilities: NDArray[np.float32]
    decisions: Sequence[Decision]
    versions: Sequence[int]
    rows: int
    faults: Sequence[Fault]
    scored_by: frozenset[int]
    degraded: tuple[str, ...] = ()
    noted: RowNotes = NO_NOTES

    @property
    def flagged(self) -> int:
        """How many are not approved."""
        return len(self.decisions) - self.decisions.count(Decision.APPROVE)

    def part(self, begin: int, end: int, first_number: int) -> "ScoreResult":
        """The rows from position `begin` to before `end` as an input of their own, numbered from 1.

        Each row of that input must be there; the first one has `first_number` here.
        """
        own = slice(begin, end)
        return replace(
            self,
            row_numbers=self.row_numbers[own] - (first_number - 1),
            ids=self.ids[own],
            probabilities=self.probabilities[own],
            decisions=self.decisions[own],
            versions=self.versions[own],
            rows=end - begin,
            faults=(),
            scored_by=frozenset(self.versions[own]),
            noted=self.noted.part(begin, end),
        )


def merge_scores(
    model: AdoptedModel, rows: ParsedRows, parts: Sequence[PartialScores], noted: RowNotes = NO_NOTES
) -> ScoreResult:
    """The parts as one result; together they hold each parsed row once."""
    probabilities, decisions, versions = _in_row_order(parts, rows.table.rows)
    column = model.contract.first(Kind.ID)
    return ScoreResult(
        model=model,
        row_numbers=rows.table.row_numbers,
        ids=rows.table.columns[column.name].tolist() if column else [None] * rows.table.rows,
        probabilities=probabilities,
        decisions=decisions,
        versions=versions,
        rows=rows.rows,
        faults=rows.faults,
        scored_by=frozenset(part.model.version for part in parts),
        noted=noted,
    )


def _in_row_order(
    parts: Sequence[PartialScores], rows: int
) -> tuple[NDArray[np.float32], Sequence[Decision], Sequence[int]]:
    """Probability, decision and version of each row."""
    if len(parts) == 1:
        part = parts[0]
        return part.response.probabilities, part.decisions, [part.model.version] * rows
    probabilities, versions = np.empty(rows, dtype=np.float32), np.empty(rows, dtype=np.int64)
    decisions = [Decision.APPROVE] * rows
    for part in parts:
        probabilities[part.positions], versions[part.positions] = part.response.probabilities, part.model.version
        for position, decision in zip(part.positions.tolist(), part.decisions, strict=True):
            decisions[position] = decision
    return probabilities, decisions, versions.tolist()

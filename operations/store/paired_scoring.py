"""Two versions on the same rows: those that both can read, each by its own contract, and what each makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision, DecisionBands
from contract.faults import InputError, NotTextError
from contract.features import to_matrix
from contract.golden import GoldenRows
from contract.schema import Contract
from contract.table import ParsedRows, Table, read_csv
from history.evaluation import with_history
from history.layout import Columns
from history.plan import Plan
from releases.trial_counts import SCORE_EDGES, score_counts

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class VersionScorer:
    """One of the two versions.

    Attributes:
        score: probabilities, shape (rows,), of a matrix of its contract.
    """

    contract: Contract
    bands: DecisionBands
    score: Callable[[NDArray[np.float32]], Scores]


@dataclass(frozen=True, slots=True)
class ScoreSample:
    """What one version made of some rows.

    Attributes:
        flagged: rows that it does not approve.
        scores: rows by the bin of their probability, between SCORE_EDGES.
    """

    rows: int
    flagged: int
    scores: tuple[int, ...]

    @classmethod
    def of(cls, bands: DecisionBands, probabilities: Scores) -> Self:
        """Counts probabilities, shape (rows,), as these bands decide them."""
        flagged = sum(decision is not Decision.APPROVE for decision in bands.decide(probabilities))
        return cls(len(probabilities), flagged, score_counts(probabilities))

    @property
    def alert_rate(self) -> float:
        """Share of rows that it does not approve."""
        return self.flagged / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SamplePair:
    """What two versions made of rows: both of the same ones, or each of its own.

    Attributes:
        joint: of the same rows, how many are in which bin of the one and of the other, shape (bins, bins); else None.
    """

    before: ScoreSample
    after: ScoreSample
    joint: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, first: tuple[DecisionBands, Scores], second: tuple[DecisionBands, Scores]) -> Self:
        """Counts the probabilities of the same rows, shape (rows,) each, as each side's bands decide them."""
        bins = len(SCORE_EDGES) + 1
        places = (np.searchsorted(SCORE_EDGES, scores, side="right") for _, scores in (first, second))
        joint = np.zeros((bins, bins), dtype=np.int64)
        np.add.at(joint, tuple(places), 1)
        return cls(ScoreSample.of(*first), ScoreSample.of(*second), joint)


@dataclass(frozen=True, slots=True, eq=False)
class CsvRows:
    """Rows of a CSV file to be scored by two versions.

    Attributes:
        history: values of history features by the feature's name, shape (rows of the file,) each; None where nothing
            is known of the past but what the rows tell of each other.
    """

    text: bytes
    history: Columns | None = None

    @classmethod
    def of(cls, golden: GoldenRows, contract: Contract) -> Self:
        """Rows that come with their past.

        Raises:
            ValueError, InputError, NotTextError: they are not of this contract.
        """
        table = golden.table(contract)
        return cls(golden.csv.encode(), {window.name: table.columns[window.name] for window in contract.history})


def score_shared_rows(rows: CsvRows, first: VersionScorer, second: VersionScorer) -> tuple[Scores, Scores]:
    """The probabilities of both for the rows that both can read.

    A column that only one of them knows is no obstacle to the other. Without such a row, or where one of them cannot
    read the header, none.
    """
    names = first.contract.names | second.contract.names
    none = np.empty(0, dtype=np.float32)
    try:
        ours, theirs = (read_csv(each.contract, rows.text, others=names) for each in (first, second))
    except (NotTextError, InputError):
        return none, none
    shared = np.intersect1d(ours.table.row_numbers, theirs.table.row_numbers)
    if not len(shared):
        return none, none
    return _scores(first, ours, shared, rows.history), _scores(second, theirs, shared, rows.history)


def _scores(scorer: VersionScorer, reading: ParsedRows, numbers: NDArray[np.int64], history: Columns | None) -> Scores:
    table = reading.table.take(np.isin(reading.table.row_numbers, numbers))
    return scorer.score(to_matrix(scorer.contract, _with_past(scorer.contract, table, history)))


def _with_past(contract: Contract, table: Table, history: Columns | None) -> Table:
    """The rows with each history feature; one that nothing is known of has its neutral value."""
    plan = Plan.of([contract])
    if history is None or plan is None:
        return with_history(contract, table, None)
    known = {name: history[name][table.row_numbers - 1] for name in plan.names if name in history}
    return table.extended({**plan.default_values(table.columns, table.rows), **known})

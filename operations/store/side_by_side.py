"""Two versions on the same rows: those that both can read, each by its own contract, and what each makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.decision import Bands, Decision
from contract.faults import NotText, Refused
from contract.features import to_matrix
from contract.history import over
from contract.schema import Contract
from contract.table import Reading, read_csv
from contract.tally import score_counts

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """One of the two versions.

    Attributes:
        bands: what it decides by.
        score: probabilities, shape (rows,), of a matrix of its contract.
    """

    contract: Contract
    bands: Bands
    score: Callable[[NDArray[np.float32]], Scores]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one version made of some rows.

    Attributes:
        flagged: rows that it does not approve.
        scores: rows by the bin of their probability, between SCORE_EDGES.
    """

    rows: int
    flagged: int
    scores: tuple[int, ...]

    @classmethod
    def of(cls, bands: Bands, probabilities: Scores) -> Self:
        """Counts probabilities, shape (rows,), as these bands decide them."""
        flagged = sum(decision is not Decision.APPROVE for decision in bands.decide(probabilities))
        return cls(len(probabilities), flagged, score_counts(probabilities))

    @property
    def alert_rate(self) -> float:
        """Share of rows that it does not approve."""
        return self.flagged / self.rows if self.rows else 0.0


def score(text: bytes, first: Scorer, second: Scorer) -> tuple[Scores, Scores]:
    """The probabilities of both for the rows of a CSV file that both can read.

    A column that only one of them knows is no obstacle to the other. Without such a row, or where one of them cannot
    read the header, none.
    """
    names = first.contract.names | second.contract.names
    none = np.empty(0, dtype=np.float32)
    try:
        ours, theirs = (read_csv(each.contract, text, others=names) for each in (first, second))
    except (NotText, Refused):
        return none, none
    shared = np.intersect1d(ours.table.row_numbers, theirs.table.row_numbers)
    if not len(shared):
        return none, none
    return _scores(first, ours, shared), _scores(second, theirs, shared)


def _scores(scorer: Scorer, reading: Reading, numbers: NDArray[np.int64]) -> Scores:
    # The rows are all that is known: their history is what they tell of each other.
    table = over(scorer.contract, reading.table.take(np.isin(reading.table.row_numbers, numbers)), None)
    return scorer.score(to_matrix(scorer.contract, table))

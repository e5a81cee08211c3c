"""What a report is about: a version, the rows it is measured on, and those it was trained on.

The rows are cut as the model card says. Of a file that the version was not trained on, measured is what lies after the
end of its validation period: before it the version has learned.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.model_card import ModelCard
from contract.schema import Contract
from contract.table import Table
from training.data import LabelledTransactions, seconds_of
from training.errors import TrainingError
from training.evaluation import Scores
from training.labelled_history import with_labelled_history
from training.paired_evaluation import TIME_RESOLUTION
from training.ranking import Floats, Labels
from training.split import Split, known_rows
from training.threshold_choice import Period

Score = Callable[[NDArray[np.float32]], Scores]
BLOCK_ROWS = 20_000
"""Rows scored at a time."""
NO_TIME = "Nobody can tell which of these rows the version has learned from: the card or the file has no times."


@dataclass(frozen=True, slots=True, eq=False)
class PeriodRows:
    """The rows of one period.

    Attributes:
        matrix: float32, shape (rows, contract.width).
        labels: shape (rows,) like the next two.
        weights: how many transactions each row stands for.
        seconds: time of the transaction; None where there is none.
    """

    table: Table
    matrix: NDArray[np.float32]
    labels: Labels
    weights: Floats
    seconds: Floats | None

    @property
    def both_classes(self) -> bool:
        """Whether there are frauds and genuine rows."""
        return bool(self.labels.any() and not self.labels.all())

    def scored(self, scores: Scores, amount: str | None) -> Period:
        """These rows with the probabilities that a model gives them."""
        amounts = None if amount is None else self.table.columns[amount]
        return Period.of(scores, self.labels, amounts, self.seconds, self.weights)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A version and its rows.

    Attributes:
        score: float32 probabilities, shape (rows,), of a matrix of its contract.
        train: None where the rows that it was trained on are not known.
        validation: None in the same case.
        data: what the rows are of: "source", "sha256", "rows", "frauds", and whether "same" as the training's.
    """

    contract: Contract
    card: ModelCard
    score: Score
    test: PeriodRows
    train: PeriodRows | None = None
    validation: PeriodRows | None = None
    data: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def scores(self, matrix: NDArray[np.float32]) -> Scores:
        """The probabilities of rows, in blocks."""
        blocks = [self.score(matrix[start : start + BLOCK_ROWS]) for start in range(0, len(matrix), BLOCK_ROWS)]
        return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)


def subject(contract: Contract, card: ModelCard, score: Score, labelled: LabelledTransactions, source: str) -> Subject:
    """The version on the rows of a file: cut, with their history, as matrices.

    Raises:
        TrainingError: no row is left to measure the version on, or none of them is fraud or genuine.
    """
    rows = replace(labelled, table=with_labelled_history(contract, labelled))
    positions, notes = _cut(card, rows)
    parts = {name: _part(contract, rows, position) for name, position in positions.items() if len(position)}
    if "test" not in parts:
        raise TrainingError(
            "The version has learned from every row of the file: bring newer rows, or the file that it was trained on."
        )
    if not parts["test"].both_classes:
        labels = parts["test"].labels
        which = "fraud" if not labels.any() else "genuine transaction"
        raise TrainingError(
            f"The {len(labels):,} rows to measure the version on hold no {which}: nothing can be ranked. "
            "Bring a longer period."
        )
    data = {
        "source": source,
        "sha256": rows.sha256,
        "rows": rows.rows,
        "frauds": int(rows.labels.sum()),
        "same": rows.sha256 == card.data.get("sha256"),
    }
    return Subject(contract, card, score, **parts, data=data, notes=(*rows.notes, *notes))


def _part(contract: Contract, rows: LabelledTransactions, position: NDArray[np.int64]) -> PeriodRows:
    some = rows.take(position)
    return PeriodRows(some.table, to_matrix(contract, some.table), some.labels, some.row_weights, some.seconds)


def _cut(card: ModelCard, rows: LabelledTransactions) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Positions by period."""
    periods = card.data.get("periods", {})
    if rows.sha256 == card.data.get("sha256") and all("start" in period for period in periods.values()):
        parts = {name: slice(period["start"], period["start"] + period["rows"]) for name, period in periods.items()}
        return known_rows(Split(parts["train"], parts["validation"], parts["test"], 0.0), rows.seconds, rows.confirmed)
    ends = _ends(periods)
    if rows.seconds is None or ends is None:
        return {"test": np.arange(rows.rows)}, (NO_TIME,)
    first, last = ends["validation"]
    validation = (rows.seconds >= first - TIME_RESOLUTION) & (rows.seconds <= last + TIME_RESOLUTION)
    return {
        "train": np.flatnonzero(~(rows.seconds > ends["train"][1] + TIME_RESOLUTION)),
        "validation": np.flatnonzero(validation),
        "test": np.flatnonzero(rows.seconds > last + TIME_RESOLUTION),
    }, ()


def _ends(periods: Any) -> dict[str, tuple[float, float]] | None:  # noqa: ANN401 - a card's JSON.
    """First and last second of the periods; None where the card does not tell them."""
    try:
        return {
            name: (seconds_of(periods[name]["first"]), seconds_of(periods[name]["last"]))
            for name in ("train", "validation")
        }
    except (KeyError, TypeError, ValueError):
        return None

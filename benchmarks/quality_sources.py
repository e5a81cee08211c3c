"""The data of each protocol as tasks: what a model gets to learn from, and the test rows with what is known of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.quality_book import book_features
from benchmarks.quality_bounds import given_away
from benchmarks.quality_metrics import EvaluationRows
from benchmarks.quality_models import Task
from benchmarks.quality_protocols import Fold, cards_fold, day_numbers
from contract.features import to_matrix
from contract.schema import Contract
from contract.table import Table
from history.evaluation import with_history
from training import data
from training.ablation import default_history_matrix
from training.infer import infer_schema
from training.loop import Examples
from training.schema import load_schema, parse_schema

HANDBOOK, CARDS = Path("handbook", "transactions.parquet"), Path("cards", "transactions.parquet")
TERMINAL_SCENARIO = 2
"""The kind of fraud that only its terminal tells."""
SCHEMA = Path(__file__).with_name("quality.toml")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """All rows of a file in order of time, under a contract.

    Attributes:
        table: with a column for each feature of the contract.
        labels: bool, shape (rows,) like all of the next.
        tested: what the metrics need of every row.
        known: frauds but those at a terminal that labels cannot tell of yet (`quality_bounds`); None without terminals.
    """

    contract: Contract
    table: Table
    labels: NDArray[np.bool_]
    evaluated: EvaluationRows
    known: NDArray[np.bool_] | None = None

    def cut(self, fold: Fold) -> tuple[Task, EvaluationRows, NDArray[np.int64]]:
        """The task of a fold, what is known of its test rows, and their positions."""
        test = np.flatnonzero(fold.test)
        matrix = to_matrix(self.contract, self.table.take(test))
        task = Task(self.contract, self._rows(fold.train), self._rows(fold.validation), matrix)
        return task, of_rows(self.evaluated, test), test

    def _rows(self, flags: NDArray[np.bool_]) -> Examples:
        places = np.flatnonzero(flags)
        table, weights = self.table.take(places), self.evaluated.weights[places].astype(np.float32)
        matrix = to_matrix(self.contract, table)
        weighted = weights if np.ptp(weights) > 0 else None
        return Examples(matrix, self.labels[places], default_history_matrix(self.contract, table), weighted)


def of_rows(evaluated: EvaluationRows, rows: NDArray[np.int64]) -> EvaluationRows:
    """The rows at these positions."""
    days, kinds = (None if each is None else each[rows] for each in (evaluated.days, evaluated.kinds))
    return EvaluationRows(evaluated.frauds[rows], days, evaluated.cards[rows], kinds, evaluated.weights[rows])


def handbook(folder: Path) -> pd.DataFrame:
    """The Handbook's transactions in order of time."""
    frame = pd.read_parquet(folder / HANDBOOK)
    return frame.sort_values("TX_DATETIME", kind="stable", ignore_index=True)


def book_source(frame: pd.DataFrame) -> Source:
    """With the book's 15 features as numbers."""
    features = book_features(frame)
    schema = 'name = "handbook-book"\n[columns.TX_FRAUD]\nkind = "label"\n'
    schema += "".join(f'[columns.{name}]\nkind = "number"\n' for name in features)
    columns = {str(name): features[name].to_numpy() for name in features}
    return _handbook_source(frame, parse_schema(schema).contract({}), Table(columns, np.arange(2, len(frame) + 2)))


def own_source(frame: pd.DataFrame, folder: Path) -> Source:
    """With history features of our own, as `fraud train` reads and computes them."""
    contract = load_schema(SCHEMA).contract({})
    labelled = data.load(contract, folder / HANDBOOK)
    expected = frame["TRANSACTION_ID"].astype(str).to_numpy()
    assert (labelled.table.columns["TRANSACTION_ID"] == expected).all(), "the rows are in another order"
    return _handbook_source(frame, contract, with_history(contract, labelled.table, labelled.labels))


def _handbook_source(frame: pd.DataFrame, contract: Contract, table: Table) -> Source:
    days, scenarios = day_numbers(frame["TX_DATETIME"]), frame["TX_FRAUD_SCENARIO"].to_numpy(dtype=np.int64)
    frauds = frame["TX_FRAUD"].to_numpy(dtype=np.bool_)
    cards = frame["CUSTOMER_ID"].to_numpy(dtype=np.int64)
    seconds = frame["TX_DATETIME"].to_numpy().astype("datetime64[s]").astype(np.float64)
    terminals, by_terminal = frame["TERMINAL_ID"].to_numpy(dtype=np.int64), scenarios == TERMINAL_SCENARIO
    known = given_away(seconds, terminals, by_terminal) | (frauds & ~by_terminal)
    judged = EvaluationRows(frauds, days, cards, scenarios, np.ones(len(frame)))
    return Source(contract, table, frauds, judged, known)


def cards_source(folder: Path) -> tuple[Source, Fold]:
    """The real cards with the schema that `fraud schema infer` writes, nothing edited, and their weights."""
    file = folder / CARDS
    contract = parse_schema(infer_schema(file)).contract({})
    labelled = data.load(contract, file)
    frame = pd.read_parquet(file, columns=["Time", "Class", "weight"]).sort_values("Time", kind="stable")
    assert (frame["Class"].to_numpy() == labelled.labels).all(), "the rows are in another order"
    weights, each_row = frame["weight"].to_numpy(dtype=np.float64), np.arange(len(frame))
    source = Source(
        contract, labelled.table, labelled.labels, EvaluationRows(labelled.labels, None, each_row, None, weights)
    )
    return source, cards_fold(frame["Time"].to_numpy(dtype=np.float64))

"""The Handbook's twelve windows over a whole table of 1,000,000 transactions, as training computes them.

`python -m benchmarks.history_table` prints the seconds of each of RUNS runs of `history.evaluation.with_history`. It
reads the Handbook's transactions where the shared data is; elsewhere as many are drawn, of as many customers and
terminals. On two cores that others used too: 1.8 to 2.8 s, median 1.9 s of ten runs.
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from contract.schema import Contract
from contract.table import Table
from contract.windows import DAY
from history import evaluation as history
from training.schema import load_schema

ROWS, RUNS = 1_000_000, 5
CUSTOMERS, TERMINALS, DAYS = 5_000, 10_000, 122
TRANSACTIONS = Path("../shared/data/handbook/transactions.parquet")
SCHEMA = Path(__file__).with_name("handbook.toml")
CUSTOMER, TERMINAL, AMOUNT, TIME = "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_DATETIME"
FRAUDS = 0.01


def twelve() -> Contract:
    """The contract of the book's twelve windows."""
    whole = load_schema(SCHEMA).contract({})
    history = whole.history[:12]
    names = {column.name for column in whole.columns} | {window.name for window in history}
    return Contract(whole.name, whole.columns, tuple(each for each in whole.features if each.column in names), history)


def main() -> None:
    """Measures and prints."""
    table, frauds = _stored() if TRANSACTIONS.exists() else _drawn()
    daily = tuple(replace(window, bucket=DAY) for window in twelve().history)
    contract = replace(twelve(), features=twelve().features[:1], history=daily)
    print(f"{table.rows:,} transactions, {len(daily)} windows, seconds:", end="", flush=True)
    for _ in range(RUNS):
        started = time.perf_counter()
        history.with_history(contract, table, frauds)
        print(f" {time.perf_counter() - started:.2f}", end="", flush=True)
    print()


def _stored() -> tuple[Table, NDArray[np.bool_]]:
    """The first transactions of the Handbook."""
    columns = [TIME, CUSTOMER, TERMINAL, AMOUNT, "TX_FRAUD"]
    result = parquet.read_table(TRANSACTIONS, columns=columns).slice(0, ROWS)
    times, customers, terminals, amounts, frauds = (result[name].to_numpy() for name in columns)
    seconds = times.astype("datetime64[us]").astype(np.int64) / 1e6
    return _table(seconds, customers, terminals, amounts), frauds.astype(bool)


def _drawn() -> tuple[Table, NDArray[np.bool_]]:
    """Transactions drawn evenly."""
    random = np.random.default_rng(0)
    seconds = np.sort(random.integers(0, DAYS * DAY, ROWS)).astype(np.float64)
    customers, terminals = random.integers(0, CUSTOMERS, ROWS), random.integers(0, TERMINALS, ROWS)
    amounts = random.lognormal(4.0, 1.0, ROWS).round(2)
    return _table(seconds, customers, terminals, amounts), random.random(ROWS) < FRAUDS


def _table(
    seconds: NDArray[np.float64],
    customers: NDArray[np.int64],
    terminals: NDArray[np.int64],
    amounts: NDArray[np.float64],
) -> Table:
    texts = {CUSTOMER: customers.astype(str).astype(object), TERMINAL: terminals.astype(str).astype(object)}
    return Table({TIME: seconds, AMOUNT: amounts, **texts}, np.arange(1, len(seconds) + 1))


if __name__ == "__main__":
    main()

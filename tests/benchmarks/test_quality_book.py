"""The book's features against pandas' rolling windows and against the product's own."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_book import DELAY, WINDOWS, book_features, within_days
from contract.table import Table
from history.evaluation import with_history
from training.schema import parse_schema

SECONDS = 45 * 86_400
SCHEMA = """
name = "book"
[columns.TX_DATETIME]
kind = "timestamp"
[columns.TERMINAL_ID]
kind = "entity"
[columns.TX_FRAUD]
kind = "label"
[columns.TX_AMOUNT]
kind = "number"
[[history]]
entity = "TERMINAL_ID"
aggregates = ["count", "risk"]
windows = ["1d", "7d", "30d"]
delay = "7d"
"""


def _frame(seed: int, rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.choice(SECONDS, rows, replace=False))
    frame = {
        "TX_DATETIME": pd.Timestamp("2018-04-01") + pd.to_timedelta(seconds, unit="s"),
        "CUSTOMER_ID": rng.integers(3, size=rows),
        "TERMINAL_ID": rng.integers(3, size=rows),
        "TX_AMOUNT": rng.integers(1, 100, size=rows).astype(float),
        "TX_FRAUD": rng.integers(2, size=rows),
    }
    return pd.DataFrame(frame)


@given(st.integers(0, 1000))
def test_they_are_what_the_book_s_rolling_windows_give(seed: int) -> None:
    """Of customers with the transaction itself, of terminals the difference of two windows, as in chapter 3."""
    frame = _frame(seed, 120)
    found = book_features(frame)
    for _, part in frame.groupby("CUSTOMER_ID"):
        amounts = part.set_index("TX_DATETIME")["TX_AMOUNT"]
        for days in WINDOWS:
            rolling = amounts.rolling(f"{days}D")
            assert np.allclose(rolling.count(), found.loc[part.index, f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"])
            assert np.allclose(rolling.mean(), found.loc[part.index, f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"])
    for _, part in frame.groupby("TERMINAL_ID"):
        frauds = part.set_index("TX_DATETIME")["TX_FRAUD"]
        for days in WINDOWS:
            recent, all_of_it = frauds.rolling(f"{DELAY}D"), frauds.rolling(f"{DELAY + days}D")
            count = all_of_it.count() - recent.count()
            risk = ((all_of_it.sum() - recent.sum()) / count).fillna(0)
            assert np.allclose(count, found.loc[part.index, f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"])
            assert np.allclose(risk, found.loc[part.index, f"TERMINAL_ID_RISK_{days}DAY_WINDOW"])


def test_a_terminal_s_windows_are_those_of_the_product_where_both_can_say_the_same() -> None:
    """Where no transaction lies within an hour of a window's end: the product's windows move by the hour."""
    frame = _apart(_frame(7, 150))
    assert len(frame) > 40
    contract = parse_schema(SCHEMA).contract({})
    columns = {
        "TX_DATETIME": frame["TX_DATETIME"].to_numpy().astype("datetime64[s]").astype(np.float64),
        "TERMINAL_ID": frame["TERMINAL_ID"].astype(str).to_numpy(dtype=object),
        "TX_AMOUNT": frame["TX_AMOUNT"].to_numpy(),
    }
    table = with_history(
        contract, Table(columns, np.arange(2, len(frame) + 2)), frame["TX_FRAUD"].to_numpy(dtype=np.bool_)
    )
    found = book_features(frame)
    for days in WINDOWS:
        for ours, theirs in (("count", "NB_TX"), ("risk", "RISK")):
            book = found[f"TERMINAL_ID_{theirs}_{days}DAY_WINDOW"]
            assert np.allclose(table.columns[f"TERMINAL_ID.{ours}.{days}d-7d/1h"], book)
    assert found["TERMINAL_ID_RISK_7DAY_WINDOW"].nunique() > 3


def _apart(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the rows that lie about the end of a window before a row that is kept."""
    ends, kept = [24.0 * (DELAY + days) for days in (0, *WINDOWS)], list[int]()
    hours = (frame["TX_DATETIME"] - frame["TX_DATETIME"].iloc[0]).dt.total_seconds().to_numpy() / 3600
    for row in range(len(frame)):
        if all(abs(hours[row] - hours[other] - end) > 1 for other in kept for end in ends):
            kept.append(row)
    return frame.iloc[kept].reset_index(drop=True)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 9))
def test_a_window_holds_what_is_younger_than_its_length(rows: list[tuple[int, int]], days: int) -> None:
    """Counted by hand: of the same entity, not later in the file, and less than so many days before."""
    rows = sorted(rows, key=lambda row: row[0])
    seconds, codes = (np.array(each) for each in zip(*rows, strict=True))
    counts = within_days(seconds * 86_400.0, codes, days)(np.ones(len(rows)))
    for place, (day, code) in enumerate(rows):
        seen = [other for other in rows[: place + 1] if other[1] == code and other[0] > day - days]
        assert counts[place] == len(seen)

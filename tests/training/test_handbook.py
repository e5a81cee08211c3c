"""The Handbook's transactions with their history: a part of the shared file, where it is there."""

from pathlib import Path

import pytest
from pyarrow import Table, parquet

from training.schema import load_schema
from training.train import TrainRequest, train

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "benchmarks" / "handbook.toml"
SHARED = ROOT.parent / "shared" / "data" / "handbook" / "transactions.parquet"
ROWS = 400_000
"""Six weeks: enough that a terminal's confirmed frauds tell something of it."""


def test_the_schema_has_the_book_s_twelve_windows() -> None:
    """Of customers count and mean, and of terminals count and risk, a week late; the scenario is not read."""
    contract = load_schema(SCHEMA).contract({})
    names = {window.name for window in contract.history}
    lengths = ("1d", "7d", "30d")
    assert names >= {f"CUSTOMER_ID.{what}.{days}/1h" for what in ("count", "mean(TX_AMOUNT)") for days in lengths}
    assert names >= {f"TERMINAL_ID.{what}.{days}-7d/1h" for what in ("count", "risk") for days in lengths}
    assert "TX_FRAUD_SCENARIO" not in contract.names


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/handbook is not here")
def test_history_raises_average_precision_on_the_handbook(tmp_path: Path, handler: Path) -> None:
    """On six weeks, average precision rises by more than a tenth with the history, and holds without a past."""
    with parquet.ParquetFile(SHARED) as file:
        part = Table.from_batches([next(file.iter_batches(ROWS))])
    parquet.write_table(part, tmp_path / "part.parquet")
    version = train(TrainRequest(1, tmp_path, tmp_path / "part.parquet", SCHEMA, epochs=4, handler=handler))
    precision = version.card.history["average_precision"]
    assert version.card.history["gain"] > 0.1
    assert precision["neutral"] > precision["without"] - 0.05

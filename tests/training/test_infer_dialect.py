"""A file in any dialect is described and trained on as the plain one is, or refused with the setting that decides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.schema import Decimal, Kind
from tests.contract.test_dialect import WRITTEN, Written
from training import data
from training.infer import infer_schema
from training.schema import parse_schema

NAMES = ("transaction_id", "timestamp", "amount", "channel", "is_fraud")
ROWS = 40
KINDS = [Kind.ID, Kind.TIMESTAMP, Kind.NUMBER, Kind.CATEGORY, Kind.LABEL]
"""Of these columns, in whatever dialect."""


def table(written: Written, amounts: Sequence[float]) -> bytes:
    """Forty transactions with these amounts."""
    rows = [
        [
            f"t-{number}",
            f"2026-05-{1 + number % 28:02d}T10:00:00",
            written.number(amount),
            ("chip", "online")[number % 2],
            f"{number % 10 == 0:d}",
        ]
        for number, amount in enumerate(amounts)
    ]
    return written.file(NAMES, rows)


@settings(max_examples=100, deadline=None)
@given(written=WRITTEN, amounts=st.lists(st.integers(1, 99_999_999), min_size=ROWS, max_size=ROWS, unique=True))
def test_any_dialect_gives_the_same_schema_and_the_same_rows(written: Written, amounts: list[int]) -> None:
    """Kinds and values; how the file is written stands in the schema where that needs to be told."""
    written = replace(written, places=2)
    values = [amount / 100 for amount in amounts]
    with TemporaryDirectory() as directory:
        path = Path(directory) / "rows.csv"
        path.write_bytes(table(written, values))
        schema = parse_schema(infer_schema(path))
        rows = data.load(schema.contract({}), path)
        assert [column.kind for column in schema.columns] == KINDS
        assert schema.reading.decimal in {Decimal.UNKNOWN, Decimal(written.decimal)}
        amount = next(column.name for column in schema.columns if column.name.lower() == "amount")
        np.testing.assert_allclose(sorted(rows.table.columns[amount]), sorted(values))
        assert int(rows.labels.sum()) == ROWS // 10

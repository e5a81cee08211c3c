import csv
import io
import json
import zipfile

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from contract.golden import TOLERANCE
from contract.history import Plan, over
from contract.schema import Contract
from contract.table import Table, read_csv
from tests.training import rows
from training import export
from training.model import FraudModel, ModelConfig, fit_columns
from training.schema import parse_schema
from training.train import Trained


def _golden_cells(trained: Trained) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(trained.golden.csv)))


def test_scripted_equals_eager() -> None:
    """The module read back from its bytes gives the trained model's probabilities."""
    model, matrix = rows.model(), rows.matrix()
    scripted = export.script(model, matrix)
    eager = model(torch.from_numpy(matrix)).numpy()
    np.testing.assert_allclose(scripted.probabilities(matrix), eager, atol=1e-6)


def test_half_precision_is_measured() -> None:
    """The card's difference is a small positive number, and it is said how it was measured."""
    matrix = rows.matrix()
    difference, measured = export.half_precision(export.script(rows.model(), matrix), matrix)
    assert 0 < difference < 0.05
    assert measured.startswith("autocast")


def test_golden_rows_score_as_expected_through_the_archive(trained: Trained) -> None:
    """The packed model gives the packed golden rows their packed probabilities."""
    with zipfile.ZipFile(trained.archive) as archive:
        module = torch.jit.load(io.BytesIO(archive.read("model.pt")))  # type: ignore[no-untyped-call]
    matrix = trained.golden.matrix(trained.contract)
    assert matrix.shape == (export.GOLDEN_ROWS, trained.contract.width)
    scores = module(torch.from_numpy(matrix)).numpy()
    assert trained.golden.difference(scores) <= TOLERANCE


def test_golden_rows_name_nobody(trained: Trained) -> None:
    """Ids and entities of golden rows are the golden rows' own."""
    for cells in _golden_cells(trained):
        for name in ("transaction_id", "customer_id", "terminal_id"):
            assert cells[name].startswith("golden-")


def _real_rows(count: int) -> Table:
    """A small table whose amounts have few digits, so that chance alone would repeat some."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({
        "ref": np.arange(count), "when": "2026-01-01", "amount": draw.integers(1, 100, count), "age": "",
        "channel": draw.choice(["chip", "online"], count),
    })  # fmt: skip
    return read_csv(rows.contract(), frame.to_csv(index=False).encode()).table


def test_golden_rows_equal_no_transaction() -> None:
    """However few columns and digits the data has, no golden row is a row of it but for the id."""
    table = _real_rows(300)
    golden = export.golden(rows.contract(), table, export.script(rows.model(), rows.matrix()), seed=0)
    drawn = read_csv(rows.contract(), golden.csv.encode()).table
    real, made = (
        set(zip(*(t.columns[name].tolist() for name in ("when", "amount", "channel")), strict=True))
        for t in (table, drawn)
    )
    assert not real & made


def test_golden_times_and_amounts_are_rounded(trained: Trained) -> None:
    """Times are whole seconds and amounts have three digits, as no file's own must have."""
    for cells in _golden_cells(trained):
        assert len(cells["timestamp"]) == len("2026-01-31T18:05:00")
        assert float(cells["amount"]) == float(f"{float(cells['amount']):.3g}")


def test_golden_rows_hold_an_unseen_category_and_missing_cells(trained: Trained) -> None:
    """The first row has values without a code, the second none where none is allowed."""
    first, second = _golden_cells(trained)[:2]
    assert first["channel"] == export.UNSEEN
    assert second["channel"] == second["country"] == ""


def test_golden_rows_spread_over_the_scores(trained: Trained) -> None:
    """They are not all alike: a path that mixed rows or columns up would show."""
    assert len(set(trained.golden.probabilities)) > export.GOLDEN_ROWS / 2


def test_golden_rows_come_with_a_past(trained: Trained) -> None:
    """Each row has a value or none for each history feature; the first one's are neutral, the others differ."""
    history = np.array(trained.golden.history, dtype=np.float64)
    assert history.shape == (export.GOLDEN_ROWS, len(trained.contract.history))
    plan = Plan.of([trained.contract])
    assert plan is not None
    table = trained.golden.table(trained.contract).take(np.array([0]))
    neutral = plan.neutral(table.columns, 1)
    np.testing.assert_array_equal(history[0], [neutral[window.name][0] for window in trained.contract.history])
    assert len({tuple(row) for row in trained.golden.history}) > export.GOLDEN_ROWS / 2


def test_a_past_is_nobody_s(trained: Trained) -> None:
    """Its values have three digits, as no window's own must have; a missing one is None, and JSON has no NaN."""
    for row in trained.golden.history[1:]:
        assert [value for value in row if value is not None and value != float(f"{value:.3g}")] == []
    json.dumps(trained.golden.to_json(), allow_nan=False)


def test_a_past_that_nobody_has_is_missing_in_every_row() -> None:
    """A mean that no row of the data has is none in the golden rows either, and they can be scored."""
    contract = parse_schema(SCHEMA_WITH_HISTORY).contract({"channel": ("chip", "online")})
    table = over(contract, _real_rows(300).extended({"card": np.full(300, "", dtype=object)}), None)
    golden = export.golden(contract, table, export.script(_wider(contract), _blank(contract)), seed=0)
    assert {value for row in golden.history for value in row} == {None}
    assert golden.matrix(contract).shape == (export.GOLDEN_ROWS, contract.width)


SCHEMA_WITH_HISTORY = (
    rows.SCHEMA
    + """
[columns.card]
kind = "entity"
missing = "allow"
[[history]]
entity = "card"
aggregates = ["mean"]
column = "amount"
windows = ["7d"]
"""
)


def _blank(contract: Contract) -> NDArray[np.float32]:
    return np.ones((50, contract.width), dtype=np.float32)


def _wider(contract: Contract) -> FraudModel:
    return FraudModel(
        ModelConfig(hidden=8), fit_columns(contract, _blank(contract), np.zeros(len(_blank(contract)), dtype=np.bool_))
    ).eval()


def test_golden_json_is_what_the_version_says(trained: Trained) -> None:
    """The archive's golden.json holds the golden rows that training returned."""
    with zipfile.ZipFile(trained.archive) as archive:
        assert json.loads(archive.read("golden.json")) == json.loads(json.dumps(trained.golden.to_json()))

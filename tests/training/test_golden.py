import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.golden import TOLERANCE, GoldenRows
from contract.schema import Contract
from contract.table import Table, read_csv
from history.evaluation import with_history
from history.plan import Plan
from releases.trial_counts import score_counts, stability_index
from tests.training import rows
from tests.training.conftest import TINY
from training import export
from training.golden import GOLDEN_ROWS, REFERENCE_ROWS, UNSEEN, golden, reference
from training.labelled_history import with_labelled_history
from training.model import FraudModel, ModelConfig, column_statistics
from training.schema import parse_schema
from training.train import NEWEST_ROWS, Trained, TrainRequest, read


def _golden_cells(trained: Trained) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(trained.golden.csv)))


def test_golden_rows_score_as_expected_through_the_archive(trained: Trained) -> None:
    """The packed model gives the packed golden rows their packed probabilities."""
    with zipfile.ZipFile(trained.archive) as archive:
        module = torch.jit.load(io.BytesIO(archive.read("model.pt")))  # type: ignore[no-untyped-call]
    matrix = trained.golden.matrix(trained.contract)
    assert matrix.shape == (GOLDEN_ROWS, trained.contract.width)
    scores = module(torch.from_numpy(matrix)).numpy()
    assert trained.golden.difference(scores) <= TOLERANCE


def test_golden_rows_name_nobody(trained: Trained) -> None:
    """Ids and entities of golden rows are the golden rows' own."""
    for cells in _golden_cells(trained):
        for name in ("transaction_id", "customer_id", "terminal_id"):
            assert cells[name].startswith("golden-")


def _real_rows(count: int) -> Table:
    """A small table whose amounts have few digits, so that chance alone would repeat some."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "ref": np.arange(count), "when": "2026-01-01", "amount": rng.integers(1, 100, count), "age": "",
        "channel": rng.choice(["chip", "online"], count),
    })  # fmt: skip
    return read_csv(rows.contract(), frame.to_csv(index=False).encode()).table


def test_golden_rows_equal_no_transaction() -> None:
    """However few columns and digits the data has, no golden row is a row of it but for the id."""
    table = _real_rows(300)
    drawn = golden(rows.contract(), table, export.script(rows.model(), rows.matrix()), seed=0)
    made_rows = read_csv(rows.contract(), drawn.csv.encode()).table
    real, made = (
        set(zip(*(t.columns[name].tolist() for name in ("when", "amount", "channel")), strict=True))
        for t in (table, made_rows)
    )
    assert not real & made


@pytest.mark.parametrize("missing", ["refuse", "allow"])
def test_golden_times_have_the_form_of_the_file_s(missing: str) -> None:
    """In parts, by the clocks of a zone, and missing where that is allowed; each is read as it was drawn."""
    keys = f'missing = "{missing}"\nzone = "Europe/Berlin"\nparts = ["y", "m", "d", "at"]'
    schema = rows.SCHEMA.replace('kind = "timestamp"', f'kind = "timestamp"\n{keys}')
    contract = parse_schema(schema).contract({"channel": ("chip", "online")})
    drawn = golden(contract, _real_rows(300), export.script(rows.model(), rows.matrix()), seed=0)
    cells = list(csv.DictReader(io.StringIO(drawn.csv)))
    assert {(each["y"], each["m"], each["d"], each["at"]) for each in cells} <= {
        ("2026", "01", "01", "01:00:00"), ("", "", "", ""),
    }  # fmt: skip
    assert ("" in {each["y"] for each in cells}) == (missing == "allow")
    times = read_csv(contract, drawn.csv.encode()).table.columns["when"]
    assert set(times[~np.isnan(times)].tolist()) == {1_767_225_600.0}


def test_golden_times_and_amounts_are_rounded(trained: Trained) -> None:
    """Times are whole seconds and amounts have three digits, as no file's own must have."""
    for cells in _golden_cells(trained):
        assert len(cells["timestamp"]) == len("2026-01-31T18:05:00")
        assert float(cells["amount"]) == float(f"{float(cells['amount']):.3g}")


def test_golden_rows_hold_an_unseen_category_and_missing_cells(trained: Trained) -> None:
    """The first row has values without a code, the second none where none is allowed."""
    first, second = _golden_cells(trained)[:2]
    assert first["channel"] == UNSEEN
    assert second["channel"] == second["country"] == ""


def test_golden_rows_spread_over_the_scores(trained: Trained) -> None:
    """They are not all alike: a path that mixed rows or columns up would show."""
    assert len(set(trained.golden.probabilities)) > GOLDEN_ROWS / 2


def test_golden_rows_come_with_a_past(trained: Trained) -> None:
    """Each row has a value or none for each history feature; the first one's are neutral, the others differ."""
    history = np.array(trained.golden.history, dtype=np.float64)
    assert history.shape == (GOLDEN_ROWS, len(trained.contract.history))
    plan = Plan.of([trained.contract])
    assert plan is not None
    table = trained.golden.table(trained.contract).take(np.array([0]))
    neutral = plan.default_values(table.columns, 1)
    np.testing.assert_array_equal(history[0], [neutral[window.name][0] for window in trained.contract.history])
    assert len({tuple(row) for row in trained.golden.history}) > GOLDEN_ROWS / 2


def test_a_past_is_nobody_s(trained: Trained) -> None:
    """Its values have three digits, as no window's own must have; a missing one is None, and JSON has no NaN."""
    for row in trained.golden.history[1:]:
        assert [value for value in row if value is not None and value != float(f"{value:.3g}")] == []
    json.dumps(trained.golden.to_json(), allow_nan=False)


def test_a_past_that_nobody_has_is_missing_in_every_row() -> None:
    """A mean that no row of the data has is none in the golden rows either, and they can be scored."""
    contract = parse_schema(SCHEMA_WITH_HISTORY).contract({"channel": ("chip", "online")})
    table = with_history(contract, _real_rows(300).extended({"card": np.full(300, "", dtype=object)}), None)
    drawn = golden(contract, table, export.script(_wider(contract), _blank(contract)), seed=0)
    assert {value for row in drawn.history for value in row} == {None}
    assert drawn.matrix(contract).shape == (GOLDEN_ROWS, contract.width)


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
        ModelConfig(hidden=8),
        column_statistics(contract, _blank(contract), np.zeros(len(_blank(contract)), dtype=np.bool_)),
    ).eval()


def test_golden_json_is_what_the_version_says(trained: Trained) -> None:
    """The archive's golden.json holds the golden rows that training returned."""
    with zipfile.ZipFile(trained.archive) as archive:
        assert json.loads(archive.read("golden.json")) == json.loads(json.dumps(trained.golden.to_json()))


def _reference(trained: Trained) -> tuple[GoldenRows, Table]:
    """The packed reference sample, and its rows with their past."""
    with zipfile.ZipFile(trained.archive) as archive:
        sample = GoldenRows.from_json(json.loads(archive.read("reference.json")))
    return sample, sample.table(trained.contract)


def _newest(trained: Trained) -> Table:
    request = TrainRequest(1, Path(), simulation=TINY)
    labelled = read(trained.contract, request)
    return with_labelled_history(trained.contract, labelled).take(
        np.arange(max(0, labelled.rows - NEWEST_ROWS), labelled.rows)
    )


def test_the_reference_sample_scores_as_the_newest_rows(trained: Trained) -> None:
    """Its scores are the model's own, and spread as those of the data: far nearer than those of golden rows."""
    sample, table = _reference(trained)
    scores = _scripted(trained).probabilities(to_matrix(trained.contract, table))
    assert sample.difference(scores) <= TOLERANCE
    assert table.rows == REFERENCE_ROWS
    newest = _scripted(trained).probabilities(to_matrix(trained.contract, _newest(trained)))
    assert stability_index(score_counts(newest), score_counts(scores)) < 0.05
    assert stability_index(score_counts(newest), score_counts(np.array(trained.golden.probabilities))) > 0.1


def test_no_row_of_the_reference_sample_is_a_transaction(trained: Trained) -> None:
    """Ids and entities are the sample's own, and no row has the time, amount and categories of a transaction."""
    _, table = _reference(trained)
    for name in ("transaction_id", "customer_id", "terminal_id"):
        assert all(value.startswith("golden-") for value in table.columns[name])
    names = ("timestamp", "amount", "merchant_category", "channel", "country")
    real, made = (
        set(zip(*(t.columns[name].tolist() for name in names), strict=True)) for t in (_newest(trained), table)
    )
    assert not real & made


def test_the_reference_sample_leaves_out_what_equals_one_transaction() -> None:
    """Where values are few, a row may equal several transactions, never a single one."""
    table = _real_rows(300)
    sample = reference(rows.contract(), table, export.script(rows.model(), rows.matrix()), seed=0)
    real, made = (
        [*zip(*(t.columns[name].tolist() for name in ("amount", "channel")), strict=True)]
        for t in (table, read_csv(rows.contract(), sample.csv.encode()).table)
    )
    assert made
    assert not [row for row in made if real.count(row) == 1]


def test_a_reference_sample_of_missing_values_is_missing() -> None:
    """A mean that no row has is none in the sample either, and it can be scored."""
    contract = parse_schema(SCHEMA_WITH_HISTORY).contract({"channel": ("chip", "online")})
    table = with_history(contract, _real_rows(300).extended({"card": np.full(300, "", dtype=object)}), None)
    sample = reference(contract, table, export.script(_wider(contract), _blank(contract)), seed=0)
    assert {value for row in sample.history for value in row} == {None}
    assert sample.matrix(contract).shape == (len(sample.probabilities), contract.width)


def _scripted(trained: Trained) -> export.Scripted:
    with zipfile.ZipFile(trained.archive) as archive:
        data = archive.read("model.pt")
    return export.Scripted(data, torch.jit.load(io.BytesIO(data)))  # type: ignore[no-untyped-call]

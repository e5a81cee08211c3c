"""`fraud models diff`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from operations.cli import commands
from operations.store.registry import Registry
from tests import tiny
from tests.operations import archives


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The store of the directory that the test runs in, with version 1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    registry = Registry(tmp_path / "model_store")
    archives.add(registry, 1)
    return registry


def diff() -> str:
    """What the command prints."""
    return CliRunner().invoke(commands, ["models", "diff", "1", "2"], catch_exceptions=False).stdout


def test_metrics_stand_side_by_side(store: Registry) -> None:
    """Both values and the difference, by period; a metric of one side has a dash on the other."""
    archives.add(store, 2, metrics={"test": {"average_precision": 0.55, "roc_auc": 0.9}})
    lines = [line.split() for line in diff().splitlines()]
    assert ["average_precision", "0.5", "0.55", "+0.05"] in lines
    assert ["roc_auc", "-", "0.9", "-"] in lines
    assert ["validation"] in lines


def test_metrics_of_the_same_data_compare(store: Registry) -> None:
    """Equal data is told once."""
    archives.add(store, 2)
    text = diff()
    assert "Both were trained on this data." in text
    assert "do not compare" not in text


def test_metrics_of_other_data_are_warned_of(store: Registry) -> None:
    """What was measured on other rows is no measure of better or worse."""
    archives.add(store, 2, data={**archives.DATA, "sha256": "b" * 64})
    text = diff()
    assert "a" * 64 in text
    assert "b" * 64 in text
    assert "these metrics do not compare" in " ".join(text.split())


def test_equal_columns_are_told(store: Registry) -> None:
    """Nothing differs: one word says so, and the golden rows are read by both."""
    archives.add(store, 2)
    text = diff()
    assert "Columns\n  the same" in text
    assert "Golden rows of version 1 and version 2: 2 of 2 can be read by both." in text


def test_scores_that_cannot_be_compared_are_told(store: Registry) -> None:
    """A sentence stands where the numbers would be."""
    contract = Contract("strange", (Column("sum", Kind.NUMBER),), (Feature("sum", FeatureKind.NUMBER, "sum"),))
    archives.add(store, 2, contract=contract, golden_csv="sum\n1\n")
    text = diff()
    assert "No row can be read by both, so their scores do not compare." in text
    assert "only in version 2" in text


def test_no_row_is_shown(store: Registry) -> None:
    """Neither a golden row's cell nor a category's value, and no line longer than the terminal."""
    columns = tuple(
        Column("channel", Kind.CATEGORY, values=("chip", "secret-value")) if column.name == "channel" else column
        for column in tiny.COLUMNS
    )
    archives.add(store, 2, contract=Contract("tiny", columns, tiny.FEATURES), slope=0.02)
    text = diff()
    assert "1 added, 1 removed" in " ".join(text.split())
    assert not any(value in text for value in ("secret-value", "online", "9000", "g-1"))
    assert max(map(len, text.splitlines())) <= 80

"""`fraud models show`."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from contract.windows import DAY, HOUR, Aggregate, Window
from operations.cli import commands
from operations.errors import OperationsError
from operations.store.model_card_view import bounds, history
from operations.store.registry import Registry
from releases.record import FILE_NAME, Release
from tests import tiny
from tests.operations import archives


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The store of the directory that the test runs in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return Registry(tmp_path / "model_store")


def show(*options: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(commands, ["models", "show", *options], catch_exceptions=False).stdout


def test_the_card_says_what_a_version_is(store: Registry) -> None:
    """State, thresholds, data, metrics, columns, settings, libraries, notes and hashes are there."""
    archives.add(store, 1, settings={"loop": {"rate": 0.25}}, libraries={"torch": "2"}, notes=("few frauds",))
    (store.root / FILE_NAME).write_bytes(Release(1, None, "").to_bytes())
    text = show("1")
    for messages in (
        *("Version 1", "live", "review from 0.5, decline from 0.9", "by 0.01 at most", "payments.csv"),
        *("1,000, of them 12 fraud (1.2%)", "2026-01-01 00:00", "average_precision", "rate 0.25", "torch 2"),
        *("- few frauds", "from 0 to 10,000", "2 values", "tiny, 4 features", "none"),
        *(store.entry(1).sha256, tiny.CONTRACT.fingerprint),
    ):
        assert messages in text, messages


WINDOW = Window(Aggregate.COUNT, "card", None, DAY, HOUR)
WITH_HISTORY = Contract(
    "cards",
    (Column("time", Kind.TIMESTAMP), Column("card", Kind.ENTITY)),
    (Feature("n", FeatureKind.NUMBER, WINDOW.name),),
    (WINDOW,),
)
WORTH = {
    "average_precision": {"with": 0.75, "without": 0.5, "neutral": 0.4375},
    "gain": 0.25,
    "flagged_share": {"with": 0.02, "neutral": 0.03},
}


@pytest.mark.parametrize(
    ("worth", "messages"),
    [
        (WORTH, ("0.75", "0.5", "0.4375", "precision: 0.25", "0.02", "0.03")),
        ({"flagged_share": {"with": 0.02, "neutral": 0.03}}, ("precision: -", "0.02", "0.03")),
        ({}, ("precision: -",)),
    ],
)
def test_what_history_is_worth_is_told(worth: Mapping[str, Any], messages: tuple[str, ...]) -> None:
    """Average precision and alerts with, without and with neutral history; a dash where it was not measured."""
    console = Console(file=io.StringIO(), width=80)
    console.print(history(worth, WITH_HISTORY))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "- card.count.1d/1h" in text
    for words in messages:
        assert words in text, words


def test_a_version_without_history_has_no_such_section(store: Registry) -> None:
    """Nothing is said of what a version does not use."""
    archives.add(store, 1)
    assert "History" not in show("1")


def test_no_line_is_longer_than_the_terminal(store: Registry) -> None:
    """At 80 columns everything is wrapped, and nothing is cut."""
    name = "a_column_with_a_name_" * 5
    columns = (*tiny.COLUMNS, Column(name, Kind.NUMBER, minimum=-1234.5678))
    archives.add(
        store,
        1,
        contract=Contract("tiny", columns, tiny.FEATURES),
        golden_csv=f"{tiny.HEADER},{name}\ng-1,2026-01-01T10:00:00,10,30,chip,1\n",
        notes=("a long note " * 30,),
        settings={"network": dict.fromkeys(map(str, range(100)), 1)},
    )
    lines = show("1").splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)


def test_names_are_no_markup(store: Registry) -> None:
    """A column may have any name."""
    contract = Contract("tiny", (Column("[red]", Kind.NUMBER),), (Feature("x", FeatureKind.NUMBER, "[red]"),))
    archives.add(store, 1, contract=contract, golden_csv="[red]\n1\n2\n", notes=("[bold]",))
    assert "[red]" in show("1")
    assert "- [bold]" in show("1")


def test_a_card_of_few_words_is_shown(store: Registry) -> None:
    """What an older training did not write down is a dash and not a traceback."""
    archives.add(store, 1, data={"sha256": "0" * 64}, metrics={})
    assert "-, of them - fraud" in show("1")


def test_json_is_card_and_contract(store: Registry) -> None:
    """For programs, both as the archive holds them."""
    archives.add(store, 1)
    found = json.loads(show("1", "--json"))
    assert found["contract"] == json.loads(tiny.CONTRACT.to_bytes())
    assert (found["card"]["version"], found["card"]["bands"]) == (1, {"review": 0.5, "decline": 0.9})


def test_a_changed_archive_is_not_shown(store: Registry) -> None:
    """The card comes out of an archive that verifies, or not at all."""
    archives.add(store, 1)
    (store.root / "fraud-1.mar").write_bytes(b"another")
    with pytest.raises(OperationsError, match="SHA-256"):
        show("1")


@pytest.mark.parametrize(
    ("column", "messages"),
    [
        (Column("a", Kind.NUMBER), ""),
        (Column("a", Kind.NUMBER, minimum=0.0), "from 0"),
        (Column("a", Kind.NUMBER, maximum=1.5), "to 1.5"),
        (Column("a", Kind.CATEGORY, values=("x", "y")), "2 values"),
        (Column("a", Kind.TIMESTAMP), "iso"),
        (Column("a", Kind.ID), ""),
    ],
)
def test_bounds_are_told_where_there_are_any(column: Column, messages: str) -> None:
    """No bound is no word, and of category values only how many."""
    assert bounds(column) == messages

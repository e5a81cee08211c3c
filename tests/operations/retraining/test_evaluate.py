"""`fraud evaluate` on a version that was really trained and packed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from contract.decision import DecisionBands
from contract.model_card import ModelCard
from operations.cli import commands
from operations.errors import OperationsError
from operations.retraining.evaluate import EvaluateOptions, _request, evaluate
from operations.store.registry import DamagedArchive, Registry
from tests.operations.claims import claims, trained
from training.simulator import Simulation


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a store of one version, and the file that it was trained on."""
    directory = tmp_path_factory.mktemp("evaluated")
    frame = claims()
    values = np.random.default_rng(0).lognormal(4, 1, len(frame)).round(2)
    trained(Registry(directory / "model_store"), directory / "claims.csv", frame.assign(value=values))
    return directory


def test_the_command_writes_page_and_json(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`fraud evaluate` says the short form and where the long one is, with the rivals on the same split."""
    monkeypatch.chdir(place)
    out = tmp_path / "pages" / "claims.html"
    ran = CliRunner().invoke(commands, ["evaluate", "--data", "claims.csv", "-o", str(out)], catch_exceptions=False)
    assert "average precision" in ran.stdout
    assert "gradient-boosted trees" in ran.stdout
    assert out.read_text().startswith("<!DOCTYPE html>")
    assert [baseline["name"] for baseline in json.loads(out.with_suffix(".json").read_text())["rivals"]] == [
        "gradient-boosted trees",
        "logistic regression",
    ]


def test_the_archive_scores_as_its_card_says(place: Path, tmp_path: Path) -> None:
    """What is measured again through the archive is what training measured, and what it packed."""
    registry = Registry(place / "model_store")
    wanted = EvaluateOptions(1, place / "claims.csv", tmp_path / "r.html", beside=False)
    report, paths = evaluate(registry, wanted)
    metrics = registry.entry(1).metrics["test"]
    for name in ("average_precision", "roc_auc", "expected_calibration_error"):
        assert report["test"][name] == pytest.approx(metrics[name], abs=1e-6), name
    assert paths == (tmp_path / "r.html", tmp_path / "r.json")


def test_a_damaged_archive_is_not_opened(place: Path, tmp_path: Path) -> None:
    """An archive that does not verify is evaluated by nobody."""
    store = tmp_path / "model_store"
    shutil.copytree(place / "model_store", store)
    (store / "fraud-1.mar").write_bytes(b"something else")
    with pytest.raises(DamagedArchive):
        evaluate(Registry(store), EvaluateOptions(1, place / "claims.csv", tmp_path / "r.html"))


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("", "empty"),
        ("claim,filed\n1,2026-01-01\n", "header"),
    ],
)
def test_data_that_cannot_be_used_is_one_sentence(place: Path, tmp_path: Path, text: str, output: str) -> None:
    """A file without the columns is refused in words, and no page is written."""
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(OperationsError, match=output):
        evaluate(Registry(place / "model_store"), EvaluateOptions(1, tmp_path / "bad.csv", tmp_path / "r.html"))
    assert not (tmp_path / "r.html").exists()


def test_a_version_of_a_file_needs_the_file(place: Path, tmp_path: Path) -> None:
    """Without --data only what learned from the simulator can be measured again."""
    with pytest.raises(OperationsError, match="--data"):
        evaluate(Registry(place / "model_store"), EvaluateOptions(None, None, tmp_path / "r.html"))


def test_simulated_payments_are_made_again() -> None:
    """The simulation is the one that the card tells."""
    printed = {"source": {"simulator": {"seed": 5, "days": 30, "customers": 9, "terminals": 8, "first_day": 0}}}
    card = ModelCard(1, "", DecisionBands(0.1, 0.2), {}, printed, {}, {}, 0.0)
    assert _request(card, None).simulation == Simulation(seed=5, days=30, customers=9, terminals=8)


def test_models_show_tells_decisions_and_interval(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short form of the card has the thresholds with what each catches and saves, and the interval."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(commands, ["models", "show", "1"], catch_exceptions=False).stdout
    for output in ("Decisions", "lowest cost", "expected", "amount: the column value", "assumed", "95% interval"):
        assert output in text, output
    assert max(map(len, text.splitlines())) <= 80


def test_a_budget_and_costs_may_be_stated(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraud train` takes them as options, keeps the budget on validation, and tells both in the card."""
    monkeypatch.chdir(place)
    options = ["--alerts", "5%", "--false-alarm", "20", "--amount", "value", "--epochs", "1"]
    CliRunner().invoke(commands, ["train", "--data", "claims.csv", *options], catch_exceptions=False)
    text = CliRunner().invoke(commands, ["models", "show", "2", "--json"], catch_exceptions=False).stdout
    card = json.loads(text)["card"]
    assert card["metrics"]["validation"]["flagged_share"] <= 0.05
    assert card["decisions"]["costs"] == {"false_alarm": 20.0, "missed": 1.0, "stated": True}
    assert card["decisions"]["amount"]["why"] == "it was named"
    assert card["decisions"]["points"]["budget of 5% of transactions"]["stated"] is True


def test_a_budget_that_is_none_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is read, in words."""
    monkeypatch.chdir(place)
    with pytest.raises(OperationsError, match="alert budget"):
        CliRunner().invoke(commands, ["train", "--alerts", "plenty"], catch_exceptions=False)

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tests.training.conftest import TINY, tiny_request
from training import train as train_module
from training.archive import installed_handler
from training.errors import TrainingError
from training.progress import Reporter, silent
from training.schema import DEFAULT
from training.simulator import simulate
from training.train import Trained, TrainRequest, renumbered, train, write_sample


def _foreign(rows: int = 1200) -> pd.DataFrame:
    """A file of another shape: other names, a category, missing values, an empty and a constant column, no time."""
    rng = np.random.default_rng(3)
    value = rng.exponential(80, rows)
    kind = rng.choice(["gift", "food", "fuel"], rows)
    return pd.DataFrame({
        "Order No": np.arange(rows) + 5000,
        "value": value,
        "score": np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)),
        "kind": np.where(rng.random(rows) < 0.1, "", kind),
        "unused": None,
        "always": 4,
        "target": ((value > 200) & (rng.random(rows) < 0.8)).astype(int),
    })  # fmt: skip


def _request(path: Path, frame: pd.DataFrame, handler: Path) -> TrainRequest:
    frame.to_csv(path / "rows.csv", index=False)
    return TrainRequest(version=2, out=path / "store", data=path / "rows.csv", epochs=3, handler=handler)


def test_any_users_file_trains_without_edits(tmp_path: Path, handler: Path) -> None:
    """A file of unfamiliar shape goes from inferred schema to a version that ranks its frauds."""
    version = train(_request(tmp_path, _foreign(), handler))
    assert version.archive == tmp_path / "store" / "fraud-2.mar"
    assert {column.name for column in version.contract.inputs} >= {"Order No", "value", "kind", "unused"}
    assert version.card.metrics["test"]["average_precision"] > 0.5


def test_card_tells_what_a_repetition_needs(trained: Trained, tmp_path: Path, handler: Path) -> None:
    """Seed, sizes, data hash, periods and library versions stand in the card, all of it JSON."""
    card = trained.card
    assert card.settings["seed"] == tiny_request(tmp_path, handler).seed
    assert card.settings["half_precision"]
    assert len(card.data["sha256"]) == 64
    assert set(card.data["periods"]) == {"train", "validation", "test"}
    assert "torch" in card.libraries
    assert json.loads(card.to_bytes())["version"] == 3


def test_card_names_the_contract_and_the_calibration(trained: Trained) -> None:
    """The card tells which contract the version has and how its log-odds became probabilities."""
    settings = trained.card.settings
    assert settings["contract"] == {"name": trained.contract.name, "fingerprint": trained.contract.fingerprint}
    assert settings["calibration"]["slope"] > 0


def test_the_default_model_knows_its_customers_and_terminals(trained: Trained) -> None:
    """Its contract has a history of both, and the matrix reads each window."""
    assert {window.entity for window in trained.contract.history} == {"customer_id", "terminal_id"}
    names = {window.name for window in trained.contract.history}
    assert names <= {feature.column for feature in trained.contract.features}


def test_the_card_has_the_ablation_of_history(trained: Trained) -> None:
    """Average precision on the test period with, without and with neutral history, the gain, and the alerts."""
    history, test = trained.card.history, trained.card.metrics["test"]
    precision = history["average_precision"]
    assert precision.keys() == {"with", "without", "neutral"}
    assert precision["with"] == test["average_precision"]
    assert history["gain"] == precision["with"] - precision["without"]
    assert history["flagged_share"]["with"] == test["flagged_share"]
    assert history["flagged_share"].keys() == {"with", "neutral"}


def test_the_training_without_history_is_the_one_that_a_schema_without_it_gives(
    trained: Trained, tmp_path: Path, handler: Path
) -> None:
    """The same data, settings and seed: its average precision is the card's "without"."""
    simulate(TINY).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "plain.toml").write_text(DEFAULT.read_text().split("[[history]]")[0])
    data, schema = tmp_path / "rows.csv", tmp_path / "plain.toml"
    plain = train(replace(tiny_request(tmp_path, handler), data=data, schema=schema))
    assert plain.card.history == {}
    expected = trained.card.history["average_precision"]["without"]
    assert plain.card.metrics["test"]["average_precision"] == pytest.approx(expected, abs=1e-6)


def test_history_reaches_over_the_ends_of_periods(trained: Trained) -> None:
    """What a row of the newest period sees of a month is not cut off where its period begins."""
    rows = train_module._prepare(_tiny(trained), silent())
    place = [feature.name for feature in rows.contract.features].index("terminal_id.count.30d-7d/1h")
    assert np.median(rows.test.matrix[:100, place]) > 5
    assert rows.test.default_history is not None
    assert not rows.test.default_history[:, place].any()


def _tiny(trained: Trained) -> TrainRequest:
    return TrainRequest(version=3, out=trained.archive.parent, simulation=TINY)


def test_card_writes_times_as_the_data_does(trained: Trained) -> None:
    """The ends of a period are ISO text where the time column is."""
    assert str(trained.card.data["periods"]["train"]["first"]).startswith("2026-01-01T")


def test_same_request_same_scores(trained: Trained, tmp_path: Path, handler: Path) -> None:
    """Training twice with one seed gives the same golden probabilities."""
    again = train(tiny_request(tmp_path, handler))
    assert again.golden == trained.golden
    assert again.contract.fingerprint == trained.contract.fingerprint


def test_categories_are_learned_from_the_training_period_alone(tmp_path: Path, handler: Path) -> None:
    """A value that appears only in the newest rows has no code: it will be as unknown as it was then."""
    frame = _foreign()
    frame.loc[1100:, "kind"] = "later"
    version = train(_request(tmp_path, frame, handler))
    column = next(column for column in version.contract.columns if column.name == "kind")
    assert set(column.values) == {"gift", "food", "fuel"}


@pytest.mark.parametrize("period", [slice(840, 1020), slice(1020, 1200)])
def test_a_later_period_without_fraud_is_handled(period: slice, tmp_path: Path, handler: Path) -> None:
    """No fraud in validation or test trains all the same, and the card says what could not be measured."""
    frame = _foreign()
    frame.loc[period, "target"] = 0
    version = train(_request(tmp_path, frame, handler))
    assert any("one class" in note for note in version.card.notes)


def test_a_test_period_without_fraud_is_called_not_measurable(tmp_path: Path, handler: Path) -> None:
    """What cannot be measured is said in words, not as nan."""
    frame, message = _foreign(), io.StringIO()
    frame.loc[1020:, "target"] = 0
    train(_request(tmp_path, frame, handler), Reporter(Console(file=message, width=200)))
    assert "average precision not measurable: one class on the test period" in message.getvalue()


def test_training_without_fraud_is_refused(tmp_path: Path, handler: Path) -> None:
    """When the oldest rows hold no fraud there is nothing to learn, and the message says so."""
    frame = _foreign()
    frame.loc[:900, "target"] = 0
    with pytest.raises(TrainingError, match="has no fraud"):
        train(_request(tmp_path, frame, handler))


def test_a_schema_without_data_is_refused(tmp_path: Path) -> None:
    """A schema describes a file: alone it is a mistake."""
    with pytest.raises(TrainingError, match="without data"):
        TrainRequest(version=1, out=tmp_path, schema=tmp_path / "schema.toml")


def test_a_version_counts_from_one(tmp_path: Path) -> None:
    """Version 0 does not exist."""
    with pytest.raises(TrainingError, match="from 1"):
        TrainRequest(version=0, out=tmp_path)


def test_the_installed_handler_is_found() -> None:
    """Unless another is asked for, an archive packs the handler of this project."""
    assert b"class FraudHandler" in installed_handler()


def test_sample_has_no_label_and_later_days(tmp_path: Path) -> None:
    """The sample is what a caller would upload: unlabelled, from after the training's days."""
    assert write_sample(tmp_path / "examples" / "transactions.csv") == 1000
    with (tmp_path / "examples" / "transactions.csv").open() as stream:
        records = list(csv.DictReader(stream))
    assert "is_fraud" not in records[0]
    assert min(record["timestamp"] for record in records) > str(simulate(replace(TINY, days=120))["timestamp"].max())


def test_sample_can_carry_its_label(tmp_path: Path) -> None:
    """For a comparison the label can be asked for, and some rows are fraud."""
    write_sample(tmp_path / "labelled.csv", label=True)
    assert pd.read_csv(tmp_path / "labelled.csv")["is_fraud"].sum() > 2


def test_a_version_can_be_renumbered(trained: Trained, tmp_path: Path) -> None:
    """Another number is another archive of the same model, and the first one stays."""
    mine = replace(trained, archive=tmp_path / "fraud-3.mar")
    other = renumbered(mine, 4)
    assert (other.archive, other.card.version, mine.card.version) == (tmp_path / "fraud-4.mar", 4, 3)
    with zipfile.ZipFile(other.archive) as archive, zipfile.ZipFile(trained.archive) as first:
        assert json.loads(archive.read("card.json"))["version"] == 4
        assert json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]["modelVersion"] == "4"
        assert archive.read("model.pt") == first.read("model.pt")


def test_a_large_sample_has_all_its_rows(tmp_path: Path) -> None:
    """More rows are of more days."""
    assert write_sample(tmp_path / "large.csv", rows=30_000) == 30_000

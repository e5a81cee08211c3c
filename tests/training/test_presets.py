"""Each preset with a file of its form, unchanged."""

from pathlib import Path

import pandas as pd
import pytest

from contract.labels import FRAUD, GENUINE, UNLABELLED
from contract.table import read_columns, read_csv
from tests.training.export_forms import FORMS, ROWS
from training.errors import TrainingError
from training.infer import infer_schema
from training.presets import all_presets, find_preset, recognise
from training.schema import parse_schema
from training.train import TrainRequest, train

TRAINED = ("amazon-transactions", "banksim", "stripe")
"""The others are read alone: training takes seconds each."""


def test_each_preset_has_a_file_of_its_form() -> None:
    """No preset goes untested, and each says what it is of."""
    assert {preset.name for preset in all_presets()} == set(FORMS)
    assert all(preset.summary and ":" in preset.summary for preset in all_presets())


@pytest.mark.parametrize("name", FORMS)
def test_a_file_is_read_whole(name: str) -> None:
    """By its preset: no fault, every row, to be scored and to be learned from; each label is known."""
    frame, contract = FORMS[name](), find_preset(name).contract
    body = frame.to_csv(index=False).encode()
    scored = read_csv(contract, body)
    learned = read_columns(contract, body, contract.training_columns(frame.columns.tolist()))
    assert (scored.faults, scored.table.rows) == (learned.faults, learned.table.rows) == ((), ROWS)
    assert contract.label is not None
    meanings = contract.label.words.meanings(learned.table.columns[contract.label.name].tolist())
    assert set(meanings.tolist()) == {FRAUD, GENUINE}


@pytest.mark.parametrize("name", FORMS)
def test_a_file_is_recognised_by_its_columns(name: str) -> None:
    """In any order, and not where one is absent."""
    header = [*FORMS[name]().columns]
    found = recognise(header[::-1])
    assert found is not None
    assert found.name == name
    label = found.contract.label
    unlabelled = recognise([each for each in header if label is None or each != label.name])
    assert unlabelled is None or unlabelled.name != name


@pytest.mark.parametrize("name", TRAINED)
def test_a_file_trains_and_is_scored_unchanged(name: str, tmp_path: Path, handler: Path) -> None:
    """By its preset, without an edit; frauds are found far better than by chance."""
    data, schema = tmp_path / "export.csv", tmp_path / "schema.toml"
    FORMS[name]().to_csv(data, index=False)
    schema.write_text(find_preset(name).text)
    trained = train(TrainRequest(1, tmp_path, data=data, schema=schema, epochs=2, handler=handler))
    parsed = read_csv(trained.contract, data.read_bytes())
    assert (parsed.faults, parsed.table.rows) == ((), ROWS)
    assert trained.card.metrics["test"]["average_precision"] > 0.3


def test_a_schema_that_is_inferred_names_the_preset(tmp_path: Path) -> None:
    """With the command that writes it."""
    FORMS["banksim"]().to_csv(tmp_path / "rows.csv", index=False)
    assert "fraud schema preset banksim -o banksim.toml" in infer_schema(tmp_path / "rows.csv")


def test_another_file_is_no_preset() -> None:
    """Its columns are some of none."""
    assert recognise(["amount", "when", "fraud"]) is None


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """So that nobody has to look them up."""
    with pytest.raises(TrainingError, match=r"called striped\. There are: .*stripe"):
        find_preset("striped")


def test_a_dispute_that_is_not_about_fraud_is_genuine() -> None:
    """And one whose reason does not tell is not known."""
    label = find_preset("stripe").contract.label
    assert label is not None
    assert label.words.meanings(["", "duplicate", "fraudulent", "general"]).tolist() == [
        GENUINE, GENUINE, FRAUD, UNLABELLED,
    ]  # fmt: skip


def test_the_amount_that_was_paid_stands_for_one_that_was_not_converted() -> None:
    """An export without converted amounts has the amount alone; with both the converted one is read."""
    contract = find_preset("stripe").contract
    frame = FORMS["stripe"]().assign(**{"Converted Amount": 7.0})
    name = "Converted Amount"
    for file, expected in ((frame, 7.0), (frame.drop(columns=name), pd.to_numeric(frame["Amount"])[0])):
        table = read_csv(contract, file.to_csv(index=False).encode()).table
        assert table.columns[name][0] == expected


def test_a_preset_is_fitted_to_a_file_with_fewer_columns(tmp_path: Path) -> None:
    """Without their tables and the history that reads them; the rest is as it was."""
    path, preset = tmp_path / "rows.csv", find_preset("stripe")
    lacking = ["Card Funding", "Card Fingerprint", "Dispute Date (UTC)"]
    frame = FORMS["stripe"]().drop(columns=lacking)
    frame.to_csv(path, index=False)
    contract = parse_schema(preset.fitted(path)).contract({})
    assert contract.names == preset.contract.names - set(lacking)
    assert {window.entity for window in contract.history} == {"Customer Email"}
    assert read_csv(contract, path.read_bytes()).faults == ()


@pytest.mark.parametrize("name", FORMS)
def test_a_preset_that_is_fitted_to_its_whole_form_is_itself(name: str, tmp_path: Path) -> None:
    """To the letter."""
    frame, preset = FORMS[name](), find_preset(name)
    frame.head(9).to_csv(tmp_path / "rows.csv", index=False)
    assert preset.fitted(tmp_path / "rows.csv") == preset.text


def test_a_preset_is_not_fitted_to_a_file_without_its_label(tmp_path: Path) -> None:
    """Nothing could be learned from it."""
    path = tmp_path / "rows.parquet"
    FORMS["banksim"]().drop(columns="fraud").to_parquet(path)
    with pytest.raises(TrainingError, match="no column fraud"):
        find_preset("banksim").fitted(path)

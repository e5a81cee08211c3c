"""Columns that tell the label because they were made from it."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing
from contract.table import Table
from tests.operations.claims import claims
from tests.training.conftest import TINY
from training import data
from training.errors import TrainingError
from training.infer import infer_schema
from training.leaks import check_leaks, score_columns
from training.schema import parse_schema
from training.simulator import simulate

ROWS = 20_000
SHARED = Path(__file__).parents[3] / "shared" / "data"
DRAW = np.random.default_rng(4)
LABELS = DRAW.random(ROWS) < 0.01
FEW = Contract(
    "few",
    (
        Column("x", Kind.NUMBER, Missing.ALLOW),
        Column("word", Kind.CATEGORY, Missing.ALLOW),
        Column("who", Kind.ENTITY, Missing.ALLOW),
        Column("fraud", Kind.LABEL),
    ),
    (Feature("x", FeatureKind.NUMBER, "x"),),
)


def _data(labels: np.ndarray = LABELS, **columns: np.ndarray) -> data.LabelledTransactions:
    rows = len(labels)
    plain = {"x": np.random.default_rng(0).normal(size=rows), **dict.fromkeys(("word", "who"), _texts(np.zeros(rows)))}
    return data.LabelledTransactions(Table({**plain, **columns}, np.arange(rows) + 1), labels, None, "")


def _texts(values: np.ndarray) -> np.ndarray:
    return np.array([f"v{value}" for value in values.tolist()], dtype=object)


def _leaky(kind: str) -> dict[str, np.ndarray]:
    """One column that was made from the label."""
    noise, fraud = np.random.default_rng(1), LABELS.astype(float)
    flipped = np.where(noise.random(ROWS) < 0.01, 1 - fraud, fraud)
    return {
        "scenario": {"x": fraud * noise.integers(1, 4, ROWS)},
        "weight": {"x": np.where(LABELS, 1.0, 10.115)},
        "noisy": {"x": fraud + noise.normal(0, 0.15, ROWS)},
        "downwards": {"x": -fraud + noise.normal(0, 0.15, ROWS)},
        "flipped": {"x": flipped},
        "missed": {"x": np.where(noise.random(ROWS) < 0.05, 0.0, fraud)},
        "filled in for frauds alone": {"x": np.where(LABELS, noise.random(ROWS), np.nan)},
        "emptied for frauds alone": {"x": np.where(LABELS, np.nan, noise.random(ROWS))},
        "a code in the middle": {"x": np.where(LABELS, 2.0, noise.choice([1.0, 3.0], ROWS))},
        "word": {"word": _texts(np.where(LABELS, noise.integers(0, 300, ROWS), noise.integers(300, 900, ROWS)))},
        "flipped word": {"word": _texts(flipped)},
        "case": {"who": np.where(LABELS, _texts(noise.integers(0, 20, ROWS)), "")},
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("scenario", "weight", "noisy", "downwards", "flipped", "missed", "filled in for frauds alone"),
        *("emptied for frauds alone", "a code in the middle", "word", "flipped word", "case"),
    ],
)
def test_a_column_made_from_the_label_stops_training(kind: str) -> None:
    """The message names it, and what to do; no value of it."""
    (name,) = (leaky := _leaky(kind))
    with pytest.raises(TrainingError, match=f"A leak: alone, {name} .*Take it out.*--allow-leak {name}") as refused:
        check_leaks(FEW, _data(**leaky), slice(0, ROWS))
    assert "10.115" not in str(refused.value)


def test_all_leaks_are_named_at_once(tmp_path: Path) -> None:
    """Nobody wants to find them one by one."""
    with pytest.raises(TrainingError, match=r"alone, x .*, word .* --allow-leak x --allow-leak word"):
        check_leaks(FEW, _data(**_leaky("scenario"), **_leaky("word")), slice(0, ROWS))


def test_a_leak_that_is_allowed_is_noted() -> None:
    """For the model card; another one still stops."""
    (note,) = check_leaks(FEW, _data(**_leaky("scenario")), slice(0, ROWS), ("x",))
    assert "x (average precision 1.000" in note
    with pytest.raises(TrainingError, match="alone, word"):
        check_leaks(FEW, _data(**_leaky("scenario"), **_leaky("word")), slice(0, ROWS), ("x",))


def test_an_allowed_name_that_is_no_column_is_refused() -> None:
    """It is a spelling mistake."""
    with pytest.raises(TrainingError, match="no column of the schema: y"):
        check_leaks(FEW, _data(), slice(0, ROWS), ("y",))


def test_only_the_training_period_is_looked_at() -> None:
    """What the newest rows tell is for them to be measured on."""
    value = np.where(np.arange(ROWS) < ROWS // 2, DRAW.random(ROWS), LABELS)
    assert check_leaks(FEW, _data(x=value), slice(0, ROWS // 2)) == ()


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 2**32))
def test_words_of_one_row_each_tell_nothing(frauds: int, seed: int) -> None:
    """A value that appears once has no share in the other half of the rows, however many there are."""
    labels = np.zeros(400, dtype=np.bool_)
    labels[np.random.default_rng(seed).choice(400, frauds, replace=False)] = True
    words = _texts(np.arange(400))
    assert check_leaks(FEW, _data(labels, word=words, who=words), slice(0, 400)) == ()


def test_few_frauds_tell_nothing() -> None:
    """Three frauds that were all abroad are no leak."""
    labels = np.arange(ROWS) % 7000 == 0
    assert check_leaks(FEW, _data(labels, x=labels.astype(float)), slice(0, ROWS)) == ()


def test_ordinary_columns_are_no_leak(tmp_path: Path) -> None:
    """Neither of the simulator nor of the claims; the best of them stays far below."""
    for frame in (simulate(TINY), claims()):
        frame.to_csv(tmp_path / "rows.csv", index=False)
        contract = parse_schema(infer_schema(tmp_path / "rows.csv")).contract({})
        found = data.load(contract, tmp_path / "rows.csv")
        assert max(alone.precision for alone in score_columns(contract, found, slice(0, found.rows))) < 0.8
        assert check_leaks(contract, found, slice(0, found.rows)) == ()


@pytest.mark.skipif(not SHARED.exists() or not importlib.util.find_spec("pyarrow"), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("name", "leak", "named"),
    [("handbook", "TX_FRAUD_SCENARIO", '\n[columns.TX_FRAUD_SCENARIO]\nkind = "number"\n'), ("cards", "weight", "")],
)
def test_of_known_data_only_what_tells_the_label_is_a_leak(name: str, leak: str, named: str, tmp_path: Path) -> None:
    """The Handbook's scenario and the cards' weight as a number; no column that is known when a row is scored."""
    frame = pd.read_parquet(SHARED / name / "transactions.parquet").head(200_000)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    text = infer_schema(tmp_path / "rows.csv").replace('kind = "weight"', 'kind = "number"')
    contract = parse_schema(text + named).contract({})
    found = data.load(contract, tmp_path / "rows.csv")
    assert [alone.column for alone in score_columns(contract, found, slice(0, found.rows)) if alone.leaks] == [leak]

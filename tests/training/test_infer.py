from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.schema import Kind, Missing, TimeFormat
from tests.training.conftest import TINY
from training import data
from training.errors import TrainingError
from training.infer import infer_schema
from training.schema import Schema, parse_schema
from training.simulator import simulate


def _infer(frame: pd.DataFrame, directory: Path) -> Schema:
    frame.to_csv(directory / "rows.csv", index=False)
    return parse_schema(infer_schema(directory / "rows.csv"))


def _kinds(schema: Schema) -> dict[str, Kind]:
    return {column.name: column.kind for column in schema.columns}


def _small(**columns: object) -> pd.DataFrame:
    """Forty rows with an amount, the given columns, and every tenth row a fraud."""
    amount = np.random.default_rng(0).uniform(1, 9, 40)
    return pd.DataFrame({"amount": amount, **columns, "fraud": (np.arange(40) % 10 == 0).astype(int)})


def test_simulated_columns_are_recognised(tmp_path: Path) -> None:
    """Every column of an ordinary file gets the kind that a person would give it."""
    assert _kinds(_infer(simulate(TINY), tmp_path)) == {
        "transaction_id": Kind.ID,
        "timestamp": Kind.TIMESTAMP,
        "customer_id": Kind.ENTITY,
        "terminal_id": Kind.ENTITY,
        "amount": Kind.NUMBER,
        "merchant_category": Kind.CATEGORY,
        "channel": Kind.CATEGORY,
        "country": Kind.CATEGORY,
        "is_fraud": Kind.LABEL,
    }


def test_parquet_is_inferred_like_csv(tmp_path: Path) -> None:
    """The format makes no difference to the guess."""
    frame = simulate(TINY)
    frame.to_parquet(tmp_path / "rows.parquet")
    from_parquet = parse_schema(infer_schema(tmp_path / "rows.parquet"))
    assert from_parquet.columns == _infer(frame, tmp_path).columns


def test_empty_cells_are_allowed(tmp_path: Path) -> None:
    """A column with empty cells allows them; one without does not."""
    schema = _infer(_small(age=[None, *range(39)]), tmp_path)
    missing = {column.name: column.missing for column in schema.columns}
    assert missing["age"] is Missing.ALLOW
    assert missing["amount"] is Missing.REFUSE


def test_what_tells_the_label_is_left_out(tmp_path: Path) -> None:
    """A sample weight, and a column that names the fraud, would make a model that only repeats them."""
    fraud = np.arange(40) % 10 == 0
    schema = _infer(_small(weight=np.where(fraud, 1.0, 10.0), fraud_scenario=np.arange(40) % 4), tmp_path)
    assert set(_kinds(schema)) == {"amount", "fraud"}


def test_rarest_flag_is_the_label_without_a_usual_name(tmp_path: Path) -> None:
    """Without a telling name the rarest column of 0 and 1 is the label."""
    frame = _small(weekend=np.arange(40) % 3 == 0).rename(columns={"fraud": "bad"})
    assert _infer(frame, tmp_path).label == "bad"


def test_no_label_is_refused(tmp_path: Path) -> None:
    """A file without a column of 0 and 1 cannot be trained on."""
    (tmp_path / "rows.csv").write_text("amount,channel\n1,a\n2,b\n")
    with pytest.raises(TrainingError, match="No column can be the label"):
        infer_schema(tmp_path / "rows.csv")


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,2,3\n1,2,3,4\n"])
def test_no_table_is_refused(text: str, tmp_path: Path) -> None:
    """An empty or ragged file is refused, not guessed at."""
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(TrainingError):
        infer_schema(tmp_path / "rows.csv")


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    """The row numbers that pandas writes by default have no name and are no column."""
    _small().to_csv(tmp_path / "rows.csv")
    assert set(_kinds(parse_schema(infer_schema(tmp_path / "rows.csv")))) == {"amount", "fraud"}


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    """Two columns of one name cannot be told apart, in a schema or in an upload."""
    (tmp_path / "rows.csv").write_text("amount,fraud,amount\n1,0,2\n2,1,3\n")
    with pytest.raises(TrainingError, match="more than one column called amount"):
        infer_schema(tmp_path / "rows.csv")


def test_ascending_seconds_are_a_time(tmp_path: Path) -> None:
    """A column called time that only grows is the time in seconds, whatever it counts from."""
    column = _infer(_small(Time=np.arange(40) * 7.0), tmp_path).columns[1]
    assert (column.kind, column.time_format, column.cycles) == (Kind.TIMESTAMP, TimeFormat.SECONDS, ())


def test_coded_numbers_are_categories(tmp_path: Path) -> None:
    """A merchant category code is a name made of digits, not a quantity."""
    assert _kinds(_infer(_small(mcc=[5411, 5812] * 20), tmp_path))["mcc"] is Kind.CATEGORY


def test_names_with_any_characters_survive(tmp_path: Path) -> None:
    """Quotes, dots and umlauts in a column's name come through the TOML."""
    name = 'Größe "in" a.b'
    assert name in _kinds(_infer(_small(**{name: np.linspace(0, 1, 40)}), tmp_path))


@settings(max_examples=40)
@given(st.lists(st.floats(-1e30, 1e30), min_size=40, max_size=40))
def test_bounds_hold_what_was_seen(values: list[float]) -> None:
    """Whatever numbers a column has, the guessed schema reads the very file that it was guessed from."""
    frame = _small(reading=values)
    body = frame.to_csv(index=False).encode()
    with TemporaryDirectory() as directory:
        schema = _infer(frame, Path(directory))
    assert data.from_csv(schema.contract({}), body).rows == 40

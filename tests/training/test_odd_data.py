"""Files as they come: each odd one is trained on, or refused in words that say what is wrong."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from training.errors import TrainingError
from training.progress import Reporter
from training.train import Trained, TrainRequest, train

ROWS = 1000
START = pd.Timestamp("2026-01-01")


def _frame(rows: int = ROWS) -> pd.DataFrame:
    """Payments over forty days, a tenth of them frauds, which mostly cost more."""
    rng = np.random.default_rng(7)
    fraud = np.arange(rows) % 10 == 3
    when = START + pd.to_timedelta(np.linspace(0, 40 * 86_400, rows).round(), unit="s")
    return pd.DataFrame({
        "payment_id": [f"p{row}" for row in range(rows)],
        "when": when.strftime("%Y-%m-%dT%H:%M:%S"),
        "amount": rng.lognormal(np.where(fraud, 4.5, 3.0), 0.8).round(2),
        "channel": rng.choice(["chip", "online"], rows),
        "fraud": fraud.astype(int),
    })  # fmt: skip


class Bench:
    """A directory in which files are trained on, and what was said meanwhile."""

    def __init__(self, directory: Path, handler: Path) -> None:
        self._directory, self._handler = directory, handler
        self.message = io.StringIO()

    def train_by(self, schema: str, frame: pd.DataFrame) -> Trained:
        """With a schema."""
        data, by = self._directory / "rows.csv", self._directory / "schema.toml"
        frame.to_csv(data, index=False)
        by.write_text(schema)
        return train(TrainRequest(1, self._directory, data=data, schema=by, epochs=1, handler=self._handler))

    def train(self, frame: pd.DataFrame, *, parquet: bool = False) -> Trained:
        """Without a schema: one is inferred."""
        path = self._directory / ("rows.parquet" if parquet else "rows.csv")
        if parquet:
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False)
        request = TrainRequest(1, self._directory / "store", data=path, epochs=2, handler=self._handler)
        return train(request, Reporter(Console(file=self.message, width=400)))


@pytest.fixture
def bench(tmp_path: Path, handler: Path) -> Bench:
    """An empty directory."""
    return Bench(tmp_path, handler)


def test_the_order_of_the_rows_makes_no_difference(bench: Bench) -> None:
    """Shuffled rows give the same version: periods, contract and measures."""
    sorted_rows, shuffled = bench.train(_frame()), bench.train(_frame().sample(frac=1, random_state=1))
    assert shuffled.contract.fingerprint == sorted_rows.contract.fingerprint
    assert shuffled.card.data["periods"] == sorted_rows.card.data["periods"]
    assert shuffled.card.metrics == sorted_rows.card.metrics


@pytest.mark.parametrize("cells", [4, 4.5, "same", ""])
def test_a_column_that_never_changes_is_trained_on(cells: float | str, bench: Bench) -> None:
    """Constant or empty, of numbers or words: it tells nothing, and harms nothing."""
    version = bench.train(_frame().assign(extra=cells))
    assert "extra" in {column.name for column in version.contract.inputs}
    assert version.card.metrics["test"]["average_precision"] > 0.3


def test_a_column_that_is_empty_in_the_training_period_alone_is_trained_on(bench: Bench) -> None:
    """As when a field was introduced lately."""
    late = np.where(np.arange(ROWS) < 900, np.nan, 7.5)
    assert bench.train(_frame().assign(risk_score=late)).contract.width


@pytest.mark.parametrize("rows", [1, 10, 99])
def test_a_tiny_file_is_refused_with_the_number_that_is_needed(rows: int, bench: Bench) -> None:
    """Below it every figure would be luck."""
    frame = _frame(rows).assign(fraud=np.arange(rows) % 2)
    with pytest.raises(TrainingError, match=f"has {rows} rows?; at least 100|No column can be the label"):
        bench.train(frame)


def test_a_hundred_rows_are_trained_on_with_a_warning(bench: Bench) -> None:
    """The card says how little is to be expected."""
    notes = bench.train(_frame(100)).card.notes
    assert any("expect little of this model" in note for note in notes)


def test_one_fraud_is_trained_on_with_a_warning(bench: Bench) -> None:
    """Nothing can be measured, and the card says so for each period."""
    frame = _frame().assign(fraud=(np.arange(ROWS) == 100).astype(int))
    notes = " ".join(bench.train(frame).card.notes)
    assert "only 1 fraud: expect little" in notes
    assert "The validation period holds one class only" in notes
    assert "The test period holds one class only" in notes


@pytest.mark.parametrize(("label", "words"), [(0, "no fraud"), (1, "no genuine transaction")])
def test_one_class_is_refused(label: int, words: str, bench: Bench) -> None:
    """There is nothing to tell apart; the message asks whether it is the right column."""
    with pytest.raises(TrainingError, match=f"{words}.*check which column is the label"):
        bench.train(_frame().assign(is_fraud=label).drop(columns="fraud"))


def test_equal_times_leave_the_order_of_the_file(bench: Bench) -> None:
    """The periods follow it, and the card says so."""
    notes = bench.train(_frame().assign(when="2026-01-01")).card.notes
    assert any("times do not part the rows" in note for note in notes)


def test_a_file_without_a_time_is_cut_in_its_order(bench: Bench) -> None:
    """The same without any column of times."""
    notes = bench.train(_frame().drop(columns="when")).card.notes
    assert any("no timestamp" in note for note in notes)


def test_future_times_are_reported(bench: Bench) -> None:
    """A clock that is wrong, or a date in another form: trained on all the same."""
    frame = _frame()
    frame.loc[ROWS - 3 :, "when"] = "2326-01-01T00:00:00"
    assert any("yet to come: 3." in note for note in bench.train(frame).card.notes)


def test_words_that_hardly_ever_come_twice_are_trained_on(bench: Bench) -> None:
    """A hundred thousand different names make no embedding of as many rows: they are an entity."""
    rows = 120_000
    frame = _frame(rows).assign(merchant_name=[f"shop {row % 100_000}" for row in range(rows)])
    version = bench.train(frame, parquet=True)
    assert len(version.archive.read_bytes()) < 2_000_000
    assert all(len(column.values) <= 100 for column in version.contract.columns)


def test_a_repeated_id_is_reported(bench: Bench) -> None:
    """In training all rows count, in service one: the card says how many."""
    frame = _frame()
    frame["payment_id"] = [f"p{row // 2}" for row in range(ROWS)]
    (column,) = [column for column in bench.train(frame).contract.columns if column.name == "payment_id"]
    assert column.kind == "entity"
    frame["payment_id"] = [f"p{max(1, row)}" for row in range(ROWS)]
    schema = (
        'name="x"\n[columns.payment_id]\nkind="id"\n[columns.amount]\nkind="number"\n[columns.fraud]\nkind="label"\n'
    )
    assert any("The same payment_id again in 1 row" in note for note in bench.train_by(schema, frame).card.notes)


def test_three_hundred_columns_are_trained_on(bench: Bench) -> None:
    """Wide files are as good as narrow ones."""
    rng = np.random.default_rng(0)
    extra = pd.DataFrame(rng.normal(size=(ROWS, 300)).round(3), columns=[f"V{number}" for number in range(300)])
    assert bench.train(pd.concat([_frame(), extra], axis=1)).contract.width > 300


def test_names_in_any_script_are_trained_on(bench: Bench) -> None:
    """Columns, words and ids that are not ASCII come through to the archive."""
    frame = _frame().rename(columns={"amount": "Betrag in €", "channel": "渠道", "when": 'Zeit "lokal"'})
    frame["渠道"] = np.where(frame["渠道"] == "chip", "晶片", "в сети")
    version = bench.train(frame)
    column = next(column for column in version.contract.columns if column.name == "渠道")
    assert set(column.values) == {"晶片", "в сети"}


def test_a_header_without_rows_is_refused(bench: Bench) -> None:
    """In one sentence."""
    with pytest.raises(TrainingError, match="no rows"):
        bench.train(_frame().head(0))


def test_dates_in_several_forms_are_refused_by_row(bench: Bench) -> None:
    """No cell is tried in two forms: the third of April must not become the fourth of March."""
    frame = _frame()
    frame.loc[5, "when"] = "31/01/2026 10:00"
    with pytest.raises(TrainingError, match=r"row 6, when: not_a_date.*choose another time_format"):
        bench.train(frame)


def test_a_leak_stops_the_training(bench: Bench) -> None:
    """Before any time is spent; the message says what to do."""
    rng = np.random.default_rng(0)
    frame = _frame()
    frame["settled"] = (frame["fraud"] + rng.normal(0, 0.1, ROWS)).round(4)
    with pytest.raises(TrainingError, match=r"alone, settled .*--allow-leak settled"):
        bench.train(frame)
    assert "epoch" not in bench.message.getvalue()


def test_labels_that_came_too_late_are_not_learned_from(bench: Bench) -> None:
    """What became known after the test period began is left out before it; the card counts it."""
    frame = _frame()
    late = (frame["fraud"] == 1) & (np.arange(ROWS) > 500) & (np.arange(ROWS) < 600)
    known = pd.to_datetime(frame["when"]) + pd.to_timedelta(np.where(late, 39, 0), unit="D")
    version = bench.train(
        frame.assign(confirmed_at=known.dt.strftime("%Y-%m-%dT%H:%M:%S").where(frame["fraud"] == 1, ""))
    )
    assert any(f"left out before it: {late.sum()} rows" in note for note in version.card.notes)
    assert "confirmed_at" not in version.contract.names


def test_labels_that_are_not_known_yet_are_left_out(bench: Bench) -> None:
    """A file that says so of its own rows has them for another training."""
    known = np.where(np.arange(ROWS) < 10, "2326-01-01", "")
    version = bench.train(_frame().assign(confirmed_at=known))
    assert version.card.data["rows"] == ROWS - 10
    assert any("nothing is learned; history counts them: 10" in note for note in version.card.notes)


def test_rows_count_as_often_as_their_weight_says(bench: Bench) -> None:
    """Of a file that kept a tenth of the genuine rows, shares and thresholds are those of all of them."""
    frame = _frame().assign(weight=lambda rows: np.where(rows["fraud"] == 1, 1.0, 10.0))
    version = bench.train(frame)
    output = version.card.metrics["test"]
    assert "weight" not in {column.name for column in version.contract.inputs}
    assert output["base_rate"] == pytest.approx(0.011, abs=0.001)
    assert output["flagged_share"] < 0.06
    assert version.card.decisions["points"]["review"]["test"]["alert_share"] == pytest.approx(output["flagged_share"])
    assert any("as its weight says: 1,000 rows for 9,100 transactions" in note for note in version.card.notes)


def test_a_day_and_its_clock_are_trained_on_and_scored(bench: Bench) -> None:
    """As the same file with both in one column: what the version is proven by has two columns, as uploads have."""
    frame = _frame()
    parted = frame.assign(when=frame["when"].str[:10], clock=frame["when"].str[11:])
    one, two = bench.train(frame), bench.train(parted)
    assert two.contract.input_names == ("payment_id", "when", "clock", "amount", "channel")
    assert two.golden.csv.startswith("payment_id,when,clock,amount,channel\n")
    assert two.golden.probabilities == pytest.approx(one.golden.probabilities, abs=1e-6)
    assert two.card.metrics == one.card.metrics

import gzip
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.schema import Decimal, Kind, Missing, Reading, TimeFormat
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
    """A case status, and a column that names the fraud, would make a model that only repeats them."""
    fraud = np.arange(40) % 10 == 0
    schema = _infer(_small(status=np.where(fraud, 1.0, 10.0), fraud_scenario=np.arange(40) % 4), tmp_path)
    assert set(_kinds(schema)) == {"amount", "fraud"}


def test_rows_without_a_label_do_not_hide_what_tells_it(tmp_path: Path) -> None:
    """Of a row that nobody has judged nobody knows what its status or its weight goes with."""
    fraud = np.arange(40) % 10 == 0
    columns = {"weight": np.where(fraud, 1.0, 10.0), "status": np.where(fraud, 3.0, 4.0)}
    frame = _small(**columns).assign(fraud=lambda rows: rows["fraud"].astype(str).where(np.arange(40) % 3 > 0, ""))
    assert _kinds(_infer(frame, tmp_path)) == {"amount": Kind.NUMBER, "weight": Kind.WEIGHT, "fraud": Kind.LABEL}


def test_a_weight_by_name_and_by_what_it_tells_is_the_weight(tmp_path: Path) -> None:
    """Genuine rows that stand for ten each are counted so; kilograms, and weights of zero, are something else."""
    fraud = np.arange(40) % 10 == 0
    frame = _small(sample_weight=np.where(fraud, 1.0, 10.0), weight=np.random.default_rng(1).uniform(2, 9, 40))
    assert _kinds(_infer(frame, tmp_path)) == {
        "amount": Kind.NUMBER, "sample_weight": Kind.WEIGHT, "weight": Kind.NUMBER, "fraud": Kind.LABEL,
    }  # fmt: skip
    assert "weight" not in _kinds(_infer(_small(weight=np.where(fraud, 0.0, 10.0)), tmp_path))


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


def _comment(frame: pd.DataFrame, directory: Path, name: str) -> str:
    """The comment above a column's table."""
    frame.to_csv(directory / "rows.csv", index=False)
    before = infer_schema(directory / "rows.csv").split(f'[columns."{name}"]')[0]
    return before.rstrip("# \n").rsplit("\n", 1)[1]


def test_a_label_by_name_that_is_no_label_is_refused(tmp_path: Path) -> None:
    """A label that nobody can read is told to its owner; no other flag takes its place."""
    frame = _small(contactless=np.arange(40) % 3 // 2, is_fraud=np.arange(40) * 1.5).drop(columns="fraud")
    with pytest.raises(TrainingError, match="is_fraud looks like the label, but it has 40 different values"):
        _infer(frame, tmp_path)


def test_a_label_inferred_by_rarity_is_marked(tmp_path: Path) -> None:
    """Without a telling name the schema's comment asks its reader to check the label."""
    assert "only because its ones are rare" in _comment(_small().rename(columns={"fraud": "bad"}), tmp_path, "bad")


def test_a_label_may_be_written_in_capitals(tmp_path: Path) -> None:
    """TRUE and FALSE, as spreadsheets write them, are a label."""
    frame = _small()
    assert _infer(frame.assign(fraud=np.where(frame["fraud"] == 1, "TRUE", "FALSE")), tmp_path).label == "fraud"


@pytest.mark.parametrize("wrong", ["twelve", "1e40"])
def test_a_number_column_with_some_other_cells_stays_one(wrong: str, tmp_path: Path) -> None:
    """What is mostly numbers is a number with a word on the other cells, so that training names their rows."""
    frame = _small(price=["12.5", wrong, *map(str, np.linspace(1, 9, 38))])
    assert _kinds(_infer(frame, tmp_path))["price"] is Kind.NUMBER
    assert "cells that are no numbers: 1 of 40, the first in row 2" in _comment(frame, tmp_path, "price")


def test_few_values_of_which_some_are_numbers_are_a_category(tmp_path: Path) -> None:
    """Classes 1, 2 and A keep their meaning as a category; nothing must be mended."""
    assert _kinds(_infer(_small(grade=["1", "2", "1", "A"] * 10), tmp_path))["grade"] is Kind.CATEGORY


def test_numbers_with_signs_throughout_are_numbers(tmp_path: Path) -> None:
    """A column of which every cell has a currency sign and separators is a number all the same."""
    frame = _small(price=[f"$ {number:,.2f}" for number in np.linspace(500, 5000, 40)])
    assert _kinds(_infer(frame, tmp_path))["price"] is Kind.NUMBER


def test_seconds_since_1970_need_not_ascend(tmp_path: Path) -> None:
    """Moments of our time are a timestamp in whatever order the rows are."""
    moments = np.random.default_rng(0).permutation(1_700_000_000 + np.arange(40) * 977)
    column = _infer(_small(happened=moments), tmp_path).columns[1]
    assert (column.kind, column.time_format, column.cycles) == (
        Kind.TIMESTAMP, TimeFormat.SECONDS, ("hour", "weekday"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (1_700_000_000_000 + np.arange(40) * 977, "milliseconds"),
        (1_700_000_000_000_000 + np.arange(40) * 977, "microseconds"),
        (20260101 + np.arange(40) % 28, "year-first"),
        ([f"{1 + day % 12}/{1 + day % 28}/2026 10:00" for day in range(40)], "month-first"),
        ([f"{1 + day % 28:02}.01.2026" for day in range(40)], "day-first"),
        ([f"{1 + day % 28:02}-Jan-2026 6:05 PM" for day in range(40)], "day-first"),
        ([f"2026/01/{1 + day % 28:02} 10:00:00" for day in range(40)], "year-first"),
        ([f"2026-01-{1 + day % 28:02}T10:00:00+01:00" for day in range(40)], "iso"),
    ],
)
def test_times_in_any_common_writing_are_the_timestamp(cells: object, form: str, tmp_path: Path) -> None:
    """The schema says in which form, and training reads each of them as the moment that it is."""
    frame = _small(time=cells)
    schema = _infer(frame, tmp_path)
    column = next(column for column in schema.columns if column.name == "time")
    assert (column.kind, column.time_format, column.cycles) == (Kind.TIMESTAMP, form, ("hour", "weekday"))
    seconds = data.from_csv(schema.contract({}), frame.to_csv(index=False).encode()).seconds
    assert seconds is not None
    assert ((seconds > 1_690_000_000) & (seconds < 1_800_000_000)).all()


@pytest.mark.parametrize(("first", "form"), [("{0:02}/{1:02}", "month-first"), ("{1:02}/{0:02}", "day-first")])
def test_day_and_month_that_could_be_either_are_named(first: str, form: str, tmp_path: Path) -> None:
    """Without a day above 12 the way that leaves the rows in order is taken, and the comment asks for a check."""
    frame = _small(when=[first.format(1 + day // 10, 1 + day % 10) + "/2026 10:00" for day in range(40)])
    column = next(column for column in _infer(frame, tmp_path).columns if column.name == "when")
    assert column.time_format == form
    assert "CHECK: day or month first?" in _comment(frame, tmp_path, "when")


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_few_days_are_no_year(shuffled: bool, tmp_path: Path) -> None:
    """1 to 10 November, month first, could also be the eleventh of ten months: the shorter time counts."""
    days = np.array([f"11/{1 + row // 4:02d}/2025 10:00" for row in range(40)])
    frame = _small(when=np.random.default_rng(1).permutation(days) if shuffled else days)
    column = next(column for column in _infer(frame, tmp_path).columns if column.name == "when")
    assert column.time_format is TimeFormat.MONTH_FIRST


def test_days_with_hours_of_one_digit_are_read(tmp_path: Path) -> None:
    """ISO has no such hours: the form is the one that reads day and clock, not the day alone."""
    frame = _small(time=[f"2026-01-{1 + row // 20:02d} {row % 20}:05" for row in range(40)])
    schema = _infer(frame, tmp_path)
    assert data.from_csv(schema.contract({}), frame.to_csv(index=False).encode()).rows == 40


def test_a_clock_that_is_mostly_empty_is_not_the_dates(tmp_path: Path) -> None:
    """Half a time is none: opening hours of some shops must not take the date from the others."""
    frame = _small(day=[f"2026-01-{1 + row // 2:02d}" for row in range(40)], opens_at=["09:00", ""] * 20)
    frame = frame.assign(opens_at=["" if row % 3 else f"{row % 24:02d}:30" for row in range(40)])
    column = next(column for column in _infer(frame, tmp_path).columns if column.name == "day")
    assert column.clock == ""


def test_a_second_weight_and_a_name_with_a_line_break_leave_a_schema_that_loads(tmp_path: Path) -> None:
    """The first weight stays; comments are one line."""
    weight = np.where(np.arange(40) % 10 == 0, 1.0, 10.0)
    clocks = {"day\n(local)": ["2026-01-05"] * 40, "at\n(local)": [f"{row % 24:02d}:30" for row in range(40)]}
    schema = _infer(_small(weight=weight, sample_weight=weight, **clocks), tmp_path)
    assert [column.name for column in schema.columns if column.kind is Kind.WEIGHT] == ["weight"]


def test_mixed_forms_in_one_column_are_counted(tmp_path: Path) -> None:
    """The form of most cells is taken, the comment counts the others, and training names their rows."""
    days = [f"{13 + day % 15}/01/2026 10:00" for day in range(40)]
    frame = _small(when=[*days[:30], "2026-01-31T10:00:00", *days[31:]])
    assert "dates in another form, or none: 1 of 40" in _comment(frame, tmp_path, "when")
    with pytest.raises(TrainingError, match="row 31, when: not_a_date"):
        data.from_csv(_infer(frame, tmp_path).contract({}), frame.to_csv(index=False).encode())


@pytest.mark.parametrize(
    ("day", "clock", "form"),
    [
        ("2026-01-02", "19:05:00", TimeFormat.ISO),
        ("2026-01-02", "9:05", TimeFormat.YEAR_FIRST),
        ("20260102", "19:05:00", TimeFormat.ISO),
        ("31/01/2026", "6:05 PM", TimeFormat.DAY_FIRST),
    ],
)
def test_a_date_and_its_time_of_the_day_are_one_time(day: str, clock: str, form: TimeFormat, tmp_path: Path) -> None:
    """Two columns are read as one, in the form that reads both together; the comment says so."""
    frame = _small(day=day, at=clock)
    (column,) = [each for each in _infer(frame, tmp_path).columns if each.kind is Kind.TIMESTAMP]
    assert (column.name, column.clock, column.time_format) == ("day", "at", form)
    assert "with the time of the day that the column at holds" in _comment(frame, tmp_path, "day")
    assert "uploads must have it too" in _comment(frame, tmp_path, "at")
    read = data.from_csv(_infer(frame, tmp_path).contract({}), frame.to_csv(index=False).encode())
    assert read.seconds is not None
    assert set(read.seconds % 86_400) == {(19 if clock.startswith("19") else 9 if clock == "9:05" else 18) * 3600 + 300}


def test_a_time_of_the_day_that_belongs_to_no_date_is_left_out(tmp_path: Path) -> None:
    """Where the time has its own already, or two columns could be it, the comment says to join them."""
    clocks = [f"{hour % 24:02}:05:00" for hour in range(40)]
    for frame in (_small(day="2026-01-02T10:00:00", clock=clocks), _small(day="2026-01-02", clock=clocks, end=clocks)):
        assert _kinds(_infer(frame, tmp_path)).keys() == {"amount", "day", "fraud"}
        assert "join it to the date in one column" in _comment(frame, tmp_path, "clock")


def test_a_missing_part_is_a_missing_time(tmp_path: Path) -> None:
    """The inferred schema allows what the file has."""
    frame = _small(day="2026-01-02", at=["", *["19:05:00"] * 39])
    (column,) = [each for each in _infer(frame, tmp_path).columns if each.kind is Kind.TIMESTAMP]
    assert column.missing is Missing.ALLOW


def test_the_time_of_the_transaction_comes_first(tmp_path: Path) -> None:
    """Of several timestamps the first in the schema counts, whatever the file begins with: no birthday."""
    days = [f"2026-01-{1 + day % 28:02}" for day in range(40)]
    frame = _small(date_of_birth=["1980-05-06"] * 40, closed=[*days[:39], ""], paid_on=days)
    times = [column for column in _infer(frame, tmp_path).columns if column.kind is Kind.TIMESTAMP]
    assert [(column.name, column.cycles) for column in times] == [
        ("paid_on", ("hour", "weekday")), ("date_of_birth", ()), ("closed", ()),
    ]  # fmt: skip


def test_when_a_label_became_known_is_no_column(tmp_path: Path) -> None:
    """It tells the label: training reads it by itself."""
    kinds = _kinds(_infer(_small(confirmed_at=["2026-01-02", *[""] * 39]), tmp_path))
    assert set(kinds) == {"amount", "fraud"}


def test_ascending_numbers_without_a_time_in_the_name_are_numbers(tmp_path: Path) -> None:
    """Only a name that says time or seconds makes ascending numbers a time."""
    assert _kinds(_infer(_small(update_no=np.arange(40) * 7.0), tmp_path))["update_no"] is Kind.NUMBER


def test_a_file_without_a_time_is_said_to_be_cut_in_file_order(tmp_path: Path) -> None:
    """The heading says what the order of the rows will mean."""
    _small().to_csv(tmp_path / "rows.csv", index=False)
    assert "in the order of the file" in infer_schema(tmp_path / "rows.csv")


@pytest.mark.parametrize("name", ["card", "cardNumber", "account_id", "user", "ip", "Client No", "email_hash"])
def test_a_column_named_for_somebody_is_an_entity(name: str, tmp_path: Path) -> None:
    """Who takes part never becomes a category, whose values stand in the contract."""
    assert _kinds(_infer(_small(**{name: [f"a{row % 15}" for row in range(40)]}), tmp_path))[name] is Kind.ENTITY


@pytest.mark.parametrize("name", ["merchant_category", "card_type", "device_model", "description"])
def test_a_kind_of_somebody_is_a_category(name: str, tmp_path: Path) -> None:
    """A word such as card within a name does not make its column an entity."""
    assert _kinds(_infer(_small(**{name: [f"a{row % 15}" for row in range(40)]}), tmp_path))[name] is Kind.CATEGORY


def test_a_count_per_somebody_is_a_number(tmp_path: Path) -> None:
    """How many payments a card had is measured, and names nobody."""
    names = ("payments_per_card", "num_device", "customer_age")
    kinds = _kinds(_infer(_small(**{name: np.arange(40) % 20 for name in names}), tmp_path))
    assert [kinds[name] for name in names] == [Kind.NUMBER] * 3


@pytest.mark.parametrize("form", ["{}", "{:,}"])
def test_long_whole_numbers_are_entities(form: str, tmp_path: Path) -> None:
    """Card numbers are somebody's under any name, and however they are grouped."""
    cards = [form.format(4111_1111_1111_1111 + row % 15).replace(",", " ") for row in range(40)]
    assert _kinds(_infer(_small(payer=cards), tmp_path))["payer"] is Kind.ENTITY


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_with_other_separators_gives_the_same_schema(separator: str, encoding: str, tmp_path: Path) -> None:
    """And is trained with it as it is."""
    frame = _small(kind=["a", "b"] * 20)
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False, sep=separator, encoding=encoding)
    schema = parse_schema(infer_schema(path))
    (tmp_path / "plain").mkdir()
    assert schema == _infer(frame, tmp_path / "plain")
    assert data.load(schema.contract({}), path).rows == 40


@pytest.mark.parametrize(("group", "decimal"), [(".", ","), (",", "."), ("'", "."), (" ", ",")])
def test_a_file_of_another_locale_is_inferred_and_trained_as_it_is(group: str, decimal: str, tmp_path: Path) -> None:
    """Thousands separators and decimal commas, below the lines of a report and with a currency: the same numbers."""
    prices = np.linspace(5, 25_000, 40).round(2)
    texts = [f"{price:,.2f} EUR".replace(",", "\0").replace(".", decimal).replace("\0", group) for price in prices]
    path = tmp_path / "rows.csv"
    table = _small(price=texts).to_csv(index=False, sep=";", decimal=decimal)
    path.write_text(f"Report of May\n\n{table}")
    schema = parse_schema(infer_schema(path))
    assert _kinds(schema)["price"] is Kind.NUMBER
    assert schema.reading.decimal is (Decimal.COMMA if decimal == "," else Decimal.UNKNOWN)
    rows = data.load(schema.contract({}), path).table
    assert sorted(rows.columns["price"].tolist()) == prices.tolist()


def test_a_file_in_a_windows_encoding_says_so_in_its_schema(tmp_path: Path) -> None:
    """Uploads are then read alike; without the setting it is refused with its name."""
    path = tmp_path / "rows.csv"
    _small(kind=["caf\u00e9", "bar"] * 20).to_csv(path, index=False, encoding="cp1252")
    schema = parse_schema(infer_schema(path))
    assert schema.reading.encoding == "cp1252"
    assert set(data.load(schema.contract({}), path).table.columns["kind"]) == {"caf\u00e9", "bar"}
    with pytest.raises(TrainingError, match="encoding"):
        data.load(replace(schema, reading=Reading()).contract({}), path)


@pytest.mark.parametrize("written", ["1,234.50", "$12.30"])
def test_a_number_that_is_written_otherwise_is_one(written: str, tmp_path: Path) -> None:
    """A thousands separator or a currency in some cells takes nothing away from the others."""
    frame = _small(price=["12.5", written, *map(str, np.linspace(1, 9, 38))])
    assert _kinds(_infer(frame, tmp_path))["price"] is Kind.NUMBER
    assert "no numbers" not in _comment(frame, tmp_path, "price")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_a_header_names_no_column_by_a_card(kind: str, tmp_path: Path) -> None:
    """Where the first line is data, a card number would be a name in schema, model card and report: it is refused."""
    rows = tmp_path / f"rows.{kind}"
    frame = _small(**{"4556 7375 8689 9855": "a"})
    frame.to_csv(rows, index=False) if kind == "csv" else frame.to_parquet(rows)
    with pytest.raises(TrainingError, match="column #2 of the data file has 12 digits or more") as refused:
        infer_schema(rows)
    assert "4556" not in str(refused.value)


def test_an_index_in_parquet_is_treated_as_training_treats_it(tmp_path: Path) -> None:
    """An index with a name is a column, one that pandas made up is none."""
    _small().sample(frac=1, random_state=0).to_parquet(tmp_path / "unnamed.parquet")
    _small().rename_axis("reading_no").sample(frac=1, random_state=0).to_parquet(tmp_path / "named.PARQUET")
    assert set(_kinds(parse_schema(infer_schema(tmp_path / "unnamed.parquet")))) == {"amount", "fraud"}
    schema = parse_schema(infer_schema(tmp_path / "named.PARQUET"))
    assert set(_kinds(schema)) == {"amount", "fraud", "reading_no"}
    assert data.load(schema.contract({}), tmp_path / "named.PARQUET").notes == ()


def _unusable(directory: Path) -> list[tuple[Path, str]]:
    """Files that neither command reads, and what is wrong with each."""
    contents = {
        "empty.csv": (b"", "empty"),
        "packed.csv.gz": (gzip.compress(b"amount,fraud\n1,0\n")[:-9], "damaged"),
        "short.csv": (b"amount,fraud\n1,0\n2\n", "[Rr]ow 2"),
        "quote.csv": (b'amount,fraud\n1,0\n"2,1\n', "row 2"),
        "text.parquet": (b"amount,fraud\n", "not a parquet file"),
        "cut.parquet": (b"PAR1" * 9, "not a parquet file"),
    }
    for name, (body, _) in contents.items():
        (directory / name).write_bytes(body)
    (directory / "folder.parquet").mkdir()
    others = [
        (directory / "nowhere.csv", "no such file"),
        (directory / "nowhere.parquet", "no such file"),
        (directory, "a directory"),
        (directory / "folder.parquet", "a directory"),
    ]
    return others + [(directory / name, reason) for name, (_, reason) in contents.items()]


def test_infer_and_train_refuse_the_same_files_in_clear_words(tmp_path: Path) -> None:
    """Whatever cannot be read is refused by both with the same reason, and without names of Python classes."""
    contract = parse_schema('name = "x"\n[columns.amount]\nkind="number"\n[columns.fraud]\nkind="label"').contract({})
    for path, reason in _unusable(tmp_path):
        for read in (infer_schema, partial(data.load, contract)):
            with pytest.raises(TrainingError, match=reason) as caught:
                read(path)
            assert "Error" not in str(caught.value)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e30, 1e30), min_size=40, max_size=40))
def test_bounds_hold_what_was_seen(values: list[float]) -> None:
    """Whatever numbers a column has, the guessed schema reads the very file that it was guessed from."""
    frame = _small(reading=values)
    body = frame.to_csv(index=False).encode()
    with TemporaryDirectory() as directory:
        schema = _infer(frame, Path(directory))
    assert data.from_csv(schema.contract({}), body).rows == 40

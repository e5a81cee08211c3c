"""Which column `fraud schema infer` takes for the label, and which of its words for fraud."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.labels import LabelWords
from contract.schema import Kind, TimeFormat
from training import data
from training.errors import SchemaError, TrainingError
from training.infer import infer_schema
from training.schema import Schema, parse_schema

ROWS = 100
RARE = np.arange(ROWS) % 20 == 0
"""Which rows are fraud."""


def _text(directory: Path, **columns: object) -> str:
    """The schema that is inferred of these columns beside an amount."""
    amount = np.random.default_rng(0).uniform(1, 9, ROWS)
    pd.DataFrame({"amount": amount, **columns}).to_csv(directory / "rows.csv", index=False)
    return infer_schema(directory / "rows.csv")


def _schema(directory: Path, **columns: object) -> Schema:
    return parse_schema(_text(directory, **columns))


def _words(schema: Schema) -> LabelWords:
    return next(column.words for column in schema.columns if column.kind is Kind.LABEL)


def _cells(fraud: str, genuine: str) -> list[str]:
    return [fraud if is_fraud else genuine for is_fraud in RARE]


def _comment(text: str, name: str) -> str:
    return text.split(f'[columns."{name}"]', maxsplit=1)[0].rstrip("# \n").rsplit("\n", 1)[1]


@pytest.mark.parametrize(
    ("name", "fraud", "genuine"),
    [
        ("EVENT_LABEL", "fraud", "legit"), ("Is Fraud?", "Yes", "No"), ("fraud_reported", "Y", "N"),
        ("Betrug", "ja", "nein"), ("Fraude", "oui", "non"), ("fraude", "si", "no"), ("Fraude", "sí", "no"),
        ("fraud", "WAHR", "FALSCH"), ("class", "fraudulent", "genuine"), ("my_label_2", "Fraud", "Not Fraud"),
    ],
)  # fmt: skip
def test_words_of_a_label_are_proposed(name: str, fraud: str, genuine: str, tmp_path: Path) -> None:
    """The schema lists the words of the file, and training reads them so."""
    schema = _schema(tmp_path, **{name: _cells(fraud, genuine)})
    assert schema.label == name
    assert _words(schema) == LabelWords.of([fraud], [genuine])
    assert data.load(schema.contract({}), tmp_path / "rows.csv").labels.tolist() == RARE.tolist()


def test_words_of_a_status_are_proposed_with_what_is_not_known(tmp_path: Path) -> None:
    """Several words a side; what did not go through, or is under way, is not known."""
    statuses = np.where(RARE, "chargeback", np.resize(["paid", "settled", "pending", "Refused"], ROWS)).tolist()
    statuses[20] = "Disputed"
    text = _text(tmp_path, payment_status=statuses)
    words = _words(parse_schema(text))
    assert set(words.fraud) == {"chargeback", "disputed"}
    assert (set(words.genuine), set(words.unknown)) == ({"paid", "settled"}, {"pending", "refused"})
    assert "CHECK: taken for the label by its words" in _comment(text, "payment_status")


def test_a_status_without_fraud_is_no_label(tmp_path: Path) -> None:
    """Paid and failed say nothing of fraud, and an unknown word makes a status none."""
    other = np.where(RARE, "chargeback", np.resize(["paid", "blue"], ROWS))
    with pytest.raises(TrainingError, match="No column can be the label"):
        _text(tmp_path, status=_cells("failed", "paid"), colour=other)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("is_legit", ("0", "1")), ("genuine", ("no", "yes")), ("not_fraud", ("False", "True")), ("isNonFraud", "01"),
        ("valid", ("0", "1")), ("is_good_transaction", ("N", "Y")), ("ok", ("0.0", "1.0")),
    ],
)  # fmt: skip
def test_a_name_that_asks_what_was_genuine_is_read_the_other_way_round(
    name: str, cells: Sequence[str], tmp_path: Path
) -> None:
    """Its zeros are the frauds, and the comment says why."""
    text = _text(tmp_path, **{name: _cells(cells[0], cells[1])})
    schema = parse_schema(text)
    assert _words(schema) == LabelWords.of([cells[0]], [cells[1]])
    assert "says what was genuine" in _comment(text, name)
    assert data.load(schema.contract({}), tmp_path / "rows.csv").labels.sum() == RARE.sum()


@pytest.mark.parametrize("name", ["flag", "class", "is_fraud", "cvv_ok"])
def test_a_column_that_is_mostly_ones_is_no_label(name: str, tmp_path: Path) -> None:
    """The rarer side is fraud: another column is taken, or none."""
    with pytest.raises(TrainingError, match=r"No column can be the label|is_fraud looks like the label, but it says"):
        _text(tmp_path, **{name: _cells("0", "1")})
    assert _schema(tmp_path, **{name: _cells("0", "1")}, label=RARE.astype(int)).label == "label"


def test_a_genuine_name_is_never_taken_the_wrong_way_round(tmp_path: Path) -> None:
    """Where few rows are legit by its name, most would be fraud: it is no label, its rare ones or not."""
    with pytest.raises(TrainingError, match=r'Column is_legit looks like the label.*fraud = \["0"\]'):
        _text(tmp_path, is_legit=_cells("1", "0"))


def test_the_next_candidate_is_tried(tmp_path: Path) -> None:
    """Where the first by its name holds scores, nothing, or a moment."""
    columns = {
        "fraud_label": [""] * ROWS, "fraud_score": np.linspace(0, 1, ROWS), "label_date": ["2026-01-02"] * ROWS,
        "label": RARE.astype(int),
    }  # fmt: skip
    assert _schema(tmp_path, **columns).label == "label"


def test_no_other_column_takes_the_place_of_a_sure_name(tmp_path: Path) -> None:
    """What is called fraud, and is written in words that do not tell, is left to its owner."""
    text = _text(tmp_path, contactless=RARE.astype(int), is_fraud=_cells("B", "A"))
    assert 'its words do not tell which is fraud: "A" (95.0%), "B" (5.0%)' in _comment(text, "is_fraud")
    assert 'fraud = ["B"] and genuine = ["A"]' in _comment(text, "is_fraud")
    with pytest.raises(SchemaError, match=r'Column is_fraud: fraud must be a list.*fraud = \["Yes"\]'):
        parse_schema(text)


def test_two_numbers_that_do_not_tell_are_left_to_the_person(tmp_path: Path) -> None:
    """Nothing says whether 1 or 2 is fraud."""
    text = _text(tmp_path, Class=_cells("2", "1"))
    assert "fraud = []" in text
    assert "its words do not tell" in _comment(text, "Class")


def test_rarity_is_stated_as_it_is(tmp_path: Path) -> None:
    """Where nothing but the share of ones speaks for a column, the comment has that share."""
    comment = _comment(_text(tmp_path, blue=RARE.astype(int)), "blue")
    assert "only because its ones are rare (5.0% of its cells): check it" in comment
    comment = _comment(_text(tmp_path, blue=(np.arange(ROWS) % 5 < 2).astype(int)), "blue")
    assert "are the fewest of all columns of 0 and 1 (40.0% of its cells)" in comment


def test_a_column_that_may_hold_a_card_number_is_no_label(tmp_path: Path) -> None:
    """Its words would stand in the schema."""
    with pytest.raises(TrainingError) as caught:
        _text(tmp_path, label=_cells("4111111111111111", "x"))
    assert "4111" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "LABEL_TIMESTAMP",
        "label_time",
        "labelled_at",
        "chargeback_date",
        "Dispute Date",
        "fraud_reported_at",
        "labelDate",
    ],
)
def test_since_when_a_label_is_known_goes_with_it(name: str, tmp_path: Path) -> None:
    """The column is no feature, and training reads it as `confirmed_at`."""
    when = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    columns = {"when": when, "EVENT_LABEL": _cells("fraud", "legit"), name: when + pd.Timedelta(days=3)}
    text = _text(tmp_path, **columns)
    schema = parse_schema(text)
    assert {column.name for column in schema.columns} == {"amount", "when", "EVENT_LABEL"}
    assert next(column.confirmed for column in schema.columns if column.kind is Kind.LABEL) == name
    labelled = data.load(schema.contract({}), tmp_path / "rows.csv")
    assert labelled.confirmed is not None
    assert labelled.seconds is not None
    assert set(labelled.confirmed - labelled.seconds) == {3 * 86_400}


def test_such_a_moment_may_be_written_in_another_form(tmp_path: Path) -> None:
    """It then has a time_format of its own."""
    when = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    known = [f"{day:%d/%m/%Y}" for day in when + pd.Timedelta(days=30)]
    schema = _schema(tmp_path, when=when, fraud=RARE.astype(int), chargeback_date=known)
    label = next(column for column in schema.columns if column.kind is Kind.LABEL)
    assert (label.confirmed, label.time_format) == ("chargeback_date", TimeFormat.DAY_FIRST)
    labelled = data.load(schema.contract({}), tmp_path / "rows.csv")
    assert labelled.confirmed is not None


def test_a_moment_of_another_clock_is_not_the_labels(tmp_path: Path) -> None:
    """Dates say nothing of transactions whose seconds count from a moment that nobody knows."""
    known = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    schema = _schema(tmp_path, seconds=np.arange(ROWS) * 7, fraud=RARE.astype(int), label_date=known)
    assert not any(column.confirmed for column in schema.columns)


def test_a_moment_before_the_transactions_is_not_the_labels(tmp_path: Path) -> None:
    """By its name it is left out all the same."""
    when = pd.date_range("2026-01-01", periods=ROWS, freq="h")
    schema = _schema(tmp_path, when=when, fraud=RARE.astype(int), label_date=when - pd.Timedelta(days=90))
    assert {column.name for column in schema.columns} == {"amount", "when", "fraud"}
    assert not any(column.confirmed for column in schema.columns)

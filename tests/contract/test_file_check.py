"""The check of a file says what scoring it would, and shows no value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.faults import FaultCode
from contract.file_check import check_file, form_of_cell
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TimeFormat
from tests.contract.examples import CONTRACT, GOOD, INPUTS, csv_bytes

PLAIN = csv_bytes([GOOD, GOOD | {"id": "t-2", "channel": "fax"}])


def test_a_good_file_would_be_scored_whole() -> None:
    """Each column with its place, how many cells are filled, and the forms of its cells."""
    check = check_file(CONTRACT, PLAIN)
    assert (check.scores_whole, check.rows, check.good_rows, check.others) == (True, 2, 2, {})
    columns = {column.name: column for column in check.columns}
    assert [column.position for column in check.columns] == list(range(1, len(INPUTS) + 1))
    assert columns["time"].forms == ("9999-99-99A99:99:99",)
    assert (columns["channel"].filled, columns["channel"].distinct, columns["channel"].unknown) == (2, 2, 1)


def test_what_is_missing_unknown_and_at_fault_is_listed_with_what_to_do() -> None:
    """A column that is not there hides none of the faults of the others."""
    rows = [GOOD | {"amount": amount, "note": "x"} for amount in ("12.5", "-1", "x", "-2")]
    names = [name for name in (*INPUTS, "note") if name != "age"]
    check = check_file(CONTRACT, csv_bytes(rows, names))
    columns = {column.name: column for column in check.columns}
    assert not check.scores_whole
    assert columns["age"].position is None
    faults = {fault.code: (fault.rows, fault.first_row) for fault in columns["amount"].faults}
    assert faults == {FaultCode.OUT_OF_BOUNDS: (2, 2), FaultCode.NOT_A_NUMBER: (1, 3)}
    assert all(fault.hint for fault in columns["amount"].faults)
    assert check.others["#7"].startswith("named note")
    assert (check.rows, check.good_rows, check.repeated_ids) == (4, 1, 0)


def test_columns_that_the_model_ignores_are_no_hindrance() -> None:
    """Its contract may say so for all uploads."""
    body = csv_bytes([GOOD | {"note": "x"}], [*INPUTS, "note"])
    assert not check_file(CONTRACT, body).scores_whole
    assert check_file(CONTRACT.ignoring_others, body).scores_whole


def test_an_empty_category_is_not_unknown() -> None:
    """Whether training saw any value of it or none."""
    for values in (("chip", "online"), ()):
        column = Column("channel", Kind.CATEGORY, Missing.ALLOW, values=values, missing_words=("?",))
        contract = Contract("one", (column,), (Feature("channel", FeatureKind.CATEGORY, "channel"),))
        (checked,) = check_file(contract, b"channel\nchip\n?\n \n").columns
        assert (checked.filled, checked.unknown) == (1, 0)


def test_a_time_in_parts_is_there_with_all_of_them() -> None:
    """Its place is that of the first."""
    time = Column("when", Kind.TIMESTAMP, time_format=TimeFormat.YEAR_FIRST, parts=("y", "m", "d"))
    contract = Contract("one", (time,), (Feature("hour", FeatureKind.HOUR_SIN, "when"),))
    for body, position in ((b"d,m,y\n1,2,2026\n", 3), (b"d,y\n1,2026\n", None)):
        check = check_file(contract, body)
        assert [column.position for column in check.columns] == ([position] if position else [])
        assert check.scores_whole == (position is not None)


def test_repeated_ids_are_counted() -> None:
    """They are scored, and count once."""
    check = check_file(CONTRACT, csv_bytes([GOOD] * 3))
    assert (check.scores_whole, check.repeated_ids) == (True, 2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"x\n1\n", "is there a header"),
        (b"\0", "binary"),
        (b"PK\3\4", "workbook"),
        (b'id\n"x', "well-formed"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(body: bytes, words: str) -> None:
    """And counts nothing."""
    check = check_file(CONTRACT, body)
    assert (check.scores_whole, check.rows) == (False, 0)
    assert words in check.problem


def test_how_the_file_is_written_is_told() -> None:
    """In words."""
    body = b"Export\n" + PLAIN.replace(b'","', b'";"')
    check = check_file(CONTRACT, body)
    assert check.written == "UTF-8, semicolons between fields, with 1 lines above the header"
    assert check.scores_whole


@given(st.text(min_size=1, max_size=60))
def test_a_form_shows_no_letter_or_digit(cell: str) -> None:
    """But a, A and 9, and is short."""
    form = form_of_cell(cell)
    assert {each for each in form if each.isalnum()} <= {"a", "A", "9"}
    assert len(form) <= 27


def test_no_value_is_shown() -> None:
    """Of any cell, at fault or not."""
    secret = "Zyx-4929-1234"
    rows = [GOOD | {"id": secret, "card": secret, "amount": secret, "channel": secret}]
    assert secret not in json.dumps(check_file(CONTRACT, csv_bytes(rows)).to_json())

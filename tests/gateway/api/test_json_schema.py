"""The schema of a transaction against the reader: what one takes the other takes."""

import re
import sys
from functools import cache
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contract.schema import Column, Contract, Feature, FeatureKind, Kind, TimeFormat
from contract.table import read_json
from gateway.api.json_schema import EXAMPLE_TIME, NOT_BLANK, transaction_schema
from tests.gateway.contracts import CONTRACTS, LONG, good_row

ODD = [
    *(None, True, False, 0, -1, 5, 0.0, -0.5, 10_000, 10_001, 1e39, -1e39, 10**400, 2.4e14, 2.5e14, 1e15),
    *("", " ", "a", " a ", "x" * 256, LONG, "5", "é", "\x00", "\x1f", "\u3000", "2026-01-31T18:05:00", "31/01/2026"),
    *([], {}, [1], {"a": 1}),
]


@cache
def validator(contract: Contract) -> Any:  # noqa: ANN401 - it has no public type
    """What checks by the schema."""
    return jsonschema.Draft202012Validator(transaction_schema(contract, {"of-another"}))


def is_text_of_a_moment(contract: Contract, name: str) -> bool:
    """Whether a schema has no more to say of a column than that it is text."""
    column = next((column for column in contract.inputs if name in column.names), None)
    return column is not None and column.kind is Kind.TIMESTAMP and not column.time_format.is_number


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
@given(data=st.data())
def test_what_fits_the_schema_is_read_and_what_does_not_is_refused(contract: Contract, data: st.DataObject) -> None:
    """For any value in any column, any column left out, and columns that nobody knows."""
    row = good_row(contract)
    names = st.sampled_from([*contract.input_names, *contract.names, "of-another", "unheard-of"])
    for name in data.draw(st.lists(names, max_size=3)):
        value = data.draw(st.sampled_from(ODD) | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False))
        assume(
            not (is_text_of_a_moment(contract, name) and isinstance(value, str) and value != good_row(contract)[name])
        )
        row[name] = value
    for name in data.draw(st.lists(st.sampled_from(contract.input_names), max_size=2)):
        row.pop(name, None)
    assert validator(contract).is_valid(row) == (not read_json(contract, [row], others={"of-another"}).faults)


@pytest.mark.parametrize("value", [None, 5, "text", [], True])
def test_what_is_no_object_fits_neither(value: object) -> None:
    """Nor is it read."""
    assert not validator(CONTRACTS[0]).is_valid(value)
    assert read_json(CONTRACTS[0], [value]).faults


@pytest.mark.parametrize("form", TimeFormat)
@pytest.mark.parametrize("clock", ["", "clock"])
def test_an_example_is_read_in_every_format(form: TimeFormat, clock: str) -> None:
    """A moment, with and without a clock of its own, is shown as it is read."""
    if form.is_number and clock:
        return
    column = Column("time", Kind.TIMESTAMP, time_format=form, clock=clock)
    contract = Contract("one", (column,), (Feature("hour", FeatureKind.HOUR_SIN, "time"),))
    shown = transaction_schema(contract)["examples"][0]
    assert set(shown) == set(column.names)
    assert read_json(contract, [shown]).table.columns["time"].tolist() == [EXAMPLE_TIME]


def test_blank_is_what_the_reader_strips() -> None:
    """Of every character the pattern says what the reader does, whatever a client's regular expressions call blank."""
    pattern = re.compile(NOT_BLANK)
    every = map(chr, range(sys.maxunicode + 1))
    assert [char for char in every if bool(pattern.search(char)) is not bool(char.strip())] == []


def test_words_that_mean_missing_are_told() -> None:
    """A schema cannot hold them in any case, so they stand in words."""
    column = Column("amount", Kind.NUMBER, missing_words=("NULL", "-1"))
    contract = Contract("words", (column,), (Feature("amount", FeatureKind.NUMBER, "amount"),))
    assert transaction_schema(contract)["properties"]["amount"]["description"] == "Missing where it is NULL, -1."


@pytest.mark.parametrize("parts", [3, 4, 5, 6])
@given(data=st.data())
def test_a_time_in_parts_is_shown_as_it_is_read(parts: int, data: st.DataObject) -> None:
    """The example is read, its numbers as text or not; no part may be left out, or be anything else."""
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")[:parts]
    column = Column("when", Kind.TIMESTAMP, time_format=TimeFormat.YEAR_FIRST, zone="Asia/Kolkata", parts=names)
    contract = Contract("parts", (column,), (Feature("hour", FeatureKind.HOUR_SIN, "when"),))
    schema = transaction_schema(contract)
    (shown,) = schema["examples"]
    assert list(shown) == list(names)
    unit = {3: 86_400, 4: 1, 5: 60, 6: 1}[parts]
    value = {
        name: data.draw(st.sampled_from([text, int(text) if text.isdigit() else text])) for name, text in shown.items()
    }
    assert validator(contract).is_valid(value)
    (read,) = read_json(contract, [value]).table.columns["when"].tolist()
    assert read == (EXAMPLE_TIME + 19_800) // unit * unit - 19_800
    name = data.draw(st.sampled_from(names))
    odd: object = data.draw(st.sampled_from([None, True, 1.5, [], {}, "", " "]))
    assert not validator(contract).is_valid(value | {name: odd})
    assert read_json(contract, [value | {name: odd}]).faults

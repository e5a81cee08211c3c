import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.features import to_matrix
from contract.notes import NO_NOTES, NO_ROWS, Note, NoteCode, NoteFinder, RowNotes, with_history
from contract.schema import TimeFormat
from contract.table import read_csv
from tests.contract.examples import CONTRACT, GOOD, csv_bytes

NOW = 1_767_300_000.0
"""A day behind the times of GOOD."""
RANGES = {"amount": [1.0, 500.0]}


def found(rows: Sequence[dict[str, str]], ranges: Mapping[str, Sequence[float]] = RANGES) -> RowNotes:
    """What is odd about rows of CONTRACT, which differ from GOOD as they say."""
    table = read_csv(CONTRACT, csv_bytes([GOOD | row for row in rows])).table
    return NoteFinder(CONTRACT, ranges).find(table, to_matrix(CONTRACT, table), NOW)


def varied(count: int, **changes: str) -> list[dict[str, str]]:
    """So many rows, about which nothing is odd but for the changes."""
    return [
        {
            "id": f"t-{row}",
            "time": f"2026-01-01T10:{row % 60:02}:00",
            "amount": f"{10 + row % 90}",
            "channel": ("chip", "online")[row % 2],
            **changes,
        }
        for row in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 49, 200])
def test_nothing_is_odd_about_usual_rows(count: int) -> None:
    """There is no note at all."""
    assert found(varied(count)).notes == []


def test_no_row_has_no_note() -> None:
    """As of a file of which every row was skipped."""
    assert found([]) is NO_NOTES


def test_a_category_that_the_model_does_not_know_is_noted() -> None:
    """With the share of the rows; a missing one is known to be missing."""
    rows = [{"id": f"{row}", "channel": text} for row, text in enumerate(["chip", "teleport", "warp", ""])]
    assert found(rows).notes == [Note(NoteCode.UNKNOWN_CATEGORY, "channel", 2, 0.5)]


def test_an_id_of_two_transactions_is_noted() -> None:
    """Each row that differs from the last one with its id; the same row again is a repeat, and no id is none."""
    rows = [{"id": "a"}, {"id": "a"}, {"id": "a", "amount": "7"}, {"id": "b"}, {"id": "a"}]
    assert found(rows).notes == [Note(NoteCode.REPEATED_ID, "id", 2, 0.4)]
    assert found([{"age": ""}, {"age": ""}]).notes == []


@pytest.mark.parametrize("text", ["1.23457E+15", "1,23457E+15", "4E+18", "1.2e+07"])
@pytest.mark.parametrize("column", ["id", "card"])
def test_a_rounded_id_is_noted(text: str, column: str) -> None:
    """As spreadsheets write long numbers, in the id and in an entity."""
    assert found([{column: text}]).notes == [Note(NoteCode.SCIENTIFIC_ID, column, 1, 1.0)]


@pytest.mark.parametrize("text", ["1E5", "E+15", "tx-1E+15", "abe+1", "1.23457E+15x"])
def test_an_id_that_only_looks_a_little_like_it_is_not(text: str) -> None:
    """It is the whole text, with its sign."""
    assert found([{"id": text}]).notes == []


def test_a_time_to_come_is_noted() -> None:
    """More than a day from now; only of times that tell the date."""
    rows = [{"id": "a"}, {"id": "b", "time": "2062-01-01T00:00:00"}]
    assert found(rows).notes == [Note(NoteCode.FUTURE_TIME, "time", 1, 0.5)]
    columns = [
        replace(each, time_format=TimeFormat.SECONDS) if each.name == "time" else each for each in CONTRACT.columns
    ]
    contract = replace(CONTRACT, columns=tuple(columns))
    table = read_csv(contract, csv_bytes([GOOD | {"time": "1e12"}])).table
    assert NoteFinder(contract, RANGES).find(table, to_matrix(contract, table), NOW).notes == []


@pytest.mark.parametrize(
    ("column", "text"), [("channel", "chip"), ("channel", ""), ("amount", "20"), ("time", GOOD["time"])]
)
def test_a_column_of_one_value_is_noted(column: str, text: str) -> None:
    """Of a column that varied in training, in a file of 50 rows or more."""
    assert found(varied(50, **{column: text})).notes == [Note(NoteCode.CONSTANT_COLUMN, column, 50, 1.0)]
    assert found(varied(49, **{column: text})).notes == []


def test_a_column_that_may_have_been_constant_is_not() -> None:
    """Nobody knows of an entity, or of numbers of a version that has no ranges."""
    assert found(varied(60, card="c-1")).notes == []
    assert found(varied(60, amount="20"), {}).notes == []
    assert found(varied(60, age="7"), RANGES | {"age": [7.0, 7.0]}).notes == []


def test_most_amounts_on_another_scale_are_noted() -> None:
    """Above or below; not a few of them, and not those that are just high."""
    cents = [row | {"amount": f"{1_100 + place}"} for place, row in enumerate(varied(30))]
    assert found(cents).notes == [Note(NoteCode.AMOUNT_SCALE, "amount", 30, 1.0)]
    thousands = [row | {"amount": f"0.{place + 1:03}"} for place, row in enumerate(varied(30))]
    assert found(thousands).notes == [Note(NoteCode.AMOUNT_SCALE, "amount", 30, 1.0)]
    assert found(cents[:19]).notes == []
    assert found(cents[:15] + varied(40)[15:]).notes == []
    assert found(varied(30, amount="999")).notes == []


@pytest.mark.parametrize(
    ("bounds", "number", "odd"),
    [
        ([-10.0, 10.0], "-21", True), ([-10.0, 10.0], "19", False), ([1.0, 10.0], "-1", True),
        ([-10.0, -1.0], "-0.4", True), ([-10.0, -1.0], "-19", False), ([0.0, 10.0], "-0.1", True),
    ],
)  # fmt: skip
def test_a_scale_has_two_sides(bounds: list[float], number: str, odd: bool) -> None:
    """Negative numbers and those of the other sign."""
    notes = found([row | {"age": number} for row in varied(30)], {"age": bounds}).notes
    assert [note.code for note in notes] == [NoteCode.AMOUNT_SCALE] * odd


def test_entities_that_are_all_new_are_noted() -> None:
    """What the history says of them is added to the rest."""
    noted = with_history(found([{"channel": "warp"}, {"id": "b"}]), {"card": 2}, "id", NO_ROWS)
    assert [note.code for note in noted.notes] == [NoteCode.UNKNOWN_CATEGORY, NoteCode.NEW_ENTITIES]
    assert noted.notes[1] == Note(NoteCode.NEW_ENTITIES, "card", 2, 1.0)


def test_ids_that_others_had_are_noted() -> None:
    """Each with the caller whose row it is."""
    noted = with_history(found([{}, {"id": "b"}, {"id": "c"}]), {}, "id", np.array([1]))
    assert noted.notes == [Note(NoteCode.ID_REUSED, "id", 1, round(1 / 3, 4))]
    assert noted.part(0, 1).notes == []
    assert noted.part(1, 2).notes == [Note(NoteCode.ID_REUSED, "id", 1, 1.0)]


ROWS = st.fixed_dictionaries({
    "id": st.sampled_from(["a", "b", "1E+15", "2E+15"]),
    "channel": st.sampled_from(["chip", "warp"]),
    "time": st.sampled_from([GOOD["time"], "2062-01-01"]),
    "amount": st.sampled_from(["1", "2"]),
})  # fmt: skip


@given(st.lists(ROWS, min_size=1, max_size=9), st.data())
def test_a_part_has_the_notes_that_it_would_have_alone(rows: list[dict[str, str]], data: st.DataObject) -> None:
    """Each caller's rows of a joint table."""
    begin = data.draw(st.integers(0, len(rows) - 1))
    end = data.draw(st.integers(begin + 1, len(rows)))
    assert found(rows).part(begin, end).notes == found(rows[begin:end]).notes


def test_no_note_holds_a_value() -> None:
    """Codes, columns of the contract and numbers alone."""
    notes = found([{"id": "4E+18", "channel": "secret", "time": "2062-01-01"}]).notes
    assert {note.column for note in notes} == {"id", "channel", "time"}
    assert all(math.isfinite(note.share) and isinstance(note.count, int) for note in notes)
    assert np.all([note.count == 1 for note in notes])

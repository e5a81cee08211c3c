"""Rows without a label are nobody's to learn from, and everybody's past."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.schema import Contract
from history.evaluation import with_history
from training import data
from training.errors import TrainingError
from training.labelled_history import with_labelled_history
from training.schema import parse_schema

SCHEMA = """
name = "cards"
[columns.when]
kind = "timestamp"
[columns.card]
kind = "entity"
[columns.amount]
kind = "number"
[columns.fraud]
kind = "label"
[[history]]
entity = "card"
windows = ["1d", "7d"]
aggregates = ["count", "since_last", "risk"]
[[history]]
entity = "card"
windows = ["1d", "7d"]
aggregates = ["sum", "mean"]
column = "amount"
"""
LABELS = st.sampled_from(["", "0", "1"])
ROW = st.tuples(st.integers(0, 400), st.sampled_from("abc"), st.integers(1, 9), LABELS)


def contract() -> Contract:
    """Of two cards' worth of history."""
    return parse_schema(SCHEMA).contract({})


def file_of(rows: list[tuple[int, str, int, str]]) -> bytes:
    """Hours since New Year, card, amount, label."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["when", "card", "amount", "fraud"])
    for hour, *others in rows:
        writer.writerow([f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00", *others])
    return text.getvalue().encode()


@settings(max_examples=80, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=40).filter(lambda rows: any(row[3] for row in rows)))
def test_a_labelled_row_sees_what_it_would_see_if_all_rows_had_labels(rows: list[tuple[int, str, int, str]]) -> None:
    """An unknown label is told as no fraud to history, as in service: ties, order and all."""
    some = data.from_csv(contract(), file_of(rows))
    every = data.from_csv(contract(), file_of([(*row[:3], row[3] or "0") for row in rows]))
    output = np.isin(every.table.row_numbers, some.table.row_numbers)
    expected = with_history(contract(), every.table, every.labels).take(output)
    found = with_labelled_history(contract(), some)
    assert found.row_numbers.tolist() == expected.row_numbers.tolist() == some.table.row_numbers.tolist()
    for name, values in expected.columns.items():
        np.testing.assert_array_equal(found.columns[name], values)


def test_rows_without_a_label_are_separated_with_a_note() -> None:
    """Neither their number nor their labels are among the others'."""
    found = data.from_csv(contract(), file_of([(1, "a", 1, "1"), (0, "a", 1, ""), (2, "a", 1, "0")]))
    assert (found.rows, found.labels.tolist(), found.unlabelled and found.unlabelled.rows) == (2, [True, False], 1)
    assert found.notes == ("Rows without a label, from which nothing is learned; history counts them: 1.",)


def test_a_label_that_is_confirmed_later_than_now_is_none_yet() -> None:
    """The row is the past of others meanwhile; where it says when it was confirmed, history knows it then."""
    lines = file_of([(1, "a", 1, "1"), (0, "a", 1, "1"), (2, "a", 1, "0")]).decode().splitlines()
    known = ["confirmed_at", "2026-01-05", "2326-01-05", ""]
    body = "\n".join(f"{line},{moment}" for line, moment in zip(lines, known, strict=True)).encode()
    found = data.from_csv(contract(), body)
    assert (found.rows, found.unlabelled and found.unlabelled.rows) == (2, 1)
    counted = with_labelled_history(contract(), found).columns["card.count.1d/1h"]
    assert counted.tolist() == [1, 2]


def test_a_file_without_any_label_is_refused() -> None:
    """In words that say what a label is."""
    with pytest.raises(TrainingError, match="No row has a label: write 1 where"):
        data.from_csv(contract(), file_of([(1, "a", 1, ""), (0, "a", 1, "")]))

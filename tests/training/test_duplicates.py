"""Rows that are there twice."""

import numpy as np

from tests.training.rows import contract
from training import data
from training.duplicates import duplicate_notes
from training.split import split

HEADER = "ref,when,amount,age,channel,fraud"
ROWS = 200


def _notes(*changes: tuple[int, int, str]) -> tuple[str, ...]:
    """Of a file of 200 days; of each change, a row becomes like another one in a column, or in all but the id."""
    rows = [[f"r{row}", str(np.datetime64("2025-01-01") + row), f"{row}.5", "30", "chip", "0"] for row in range(ROWS)]
    for row, like, name in changes:
        for place, column in enumerate(HEADER.split(",")):
            if column == name or (name == "all" and column != "ref") or (name == "content" and column not in "refwhen"):
                rows[row][place] = rows[like][place]
    body = "\n".join([HEADER, *(",".join(row) for row in rows), ""])
    labelled = data.from_csv(contract(), body.encode())
    return duplicate_notes(contract(), labelled, split(labelled.rows, labelled.seconds))


def test_different_rows_are_not_reported() -> None:
    """Most files have nothing twice."""
    assert _notes() == ()


def test_ids_that_are_there_twice_are_counted() -> None:
    """And those of them that are in a later period as well as in training."""
    (note,) = _notes((5, 4, "ref"), (190, 3, "ref"), (191, 3, "ref"))
    assert "The same ref again in 3 rows, 2 of them in a later period" in note
    assert "r3" not in note


def test_rows_that_differ_only_in_their_id_are_counted() -> None:
    """With the time the same they are in one period: the split never parts a moment."""
    (note,) = _notes((5, 4, "all"), (6, 4, "all"))
    assert "equals in all but the id: 2, 0 of them in a later period" in note


def test_many_rows_that_differ_only_in_time_are_reported() -> None:
    """A file whose frauds were multiplied has them on both sides of the split."""
    (note,) = _notes(*[(row, row - 150, "content") for row in range(160, 200)])
    assert "equal one of the training period in all but id and time: 33 of 53" in note
    assert "multiplied" in note

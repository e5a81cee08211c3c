"""What stands for an empty cell in a file, found in its cells and told with counts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.schema import Kind, Missing
from training import data
from training.infer import infer_schema
from training.infer_missing import missing_words
from training.schema import SchemaColumn, parse_schema

ROWS = 200
NUMBERS = [f"{number / 2}" for number in range(ROWS)]


def _column(cells: list[str], directory: Path, name: str = "measure") -> tuple[SchemaColumn, str]:
    """The inferred column of these cells, and the whole text of the schema; the file trains with it."""
    frame = pd.DataFrame({name: cells, "amount": NUMBERS, "fraud": (np.arange(ROWS) % 10 == 0).astype(int)})
    frame.to_csv(directory / "rows.csv", index=False)
    text = infer_schema(directory / "rows.csv")
    schema = parse_schema(text)
    assert data.load(schema.contract({}), directory / "rows.csv").rows == ROWS
    return next(column for column in schema.columns if column.name == name), text


@pytest.mark.parametrize("word", ["NULL", "N/A", "NA", "nan", "None", "?", "-", "unknown", r"\N", "#N/A"])
def test_a_word_among_numbers_is_a_missing_cell(word: str, tmp_path: Path) -> None:
    """The column is one of numbers, bounds are those of its numbers, and a comment counts the words."""
    column, text = _column([word] * 7 + NUMBERS[7:], tmp_path)
    assert (column.kind, column.missing, column.missing_words) == (Kind.NUMBER, Missing.ALLOW, (word,))
    assert f"CHECK: taken for missing cells: {word} (7)" in text


@pytest.mark.parametrize("word", ["NULL", "-", "0000-00-00"])
def test_a_word_among_dates_is_a_missing_cell(word: str, tmp_path: Path) -> None:
    """The other cells tell the form of the dates."""
    column, _ = _column([word] * 7 + [f"{13 + row % 15}/01/2026" for row in range(7, ROWS)], tmp_path)
    assert (column.kind, column.time_format, column.missing_words) == (Kind.TIMESTAMP, "day-first", (word,))


def test_several_words_are_each_counted(tmp_path: Path) -> None:
    """The most frequent first, each once whatever its case."""
    column, text = _column(["NULL"] * 5 + ["n/a"] * 3 + ["null"] * 2 + NUMBERS[10:], tmp_path)
    assert {word.lower() for word in column.missing_words} == {"null", "n/a"}
    assert "NULL (5), n/a (3), null (2)" in text


@pytest.mark.parametrize(("word", "means_missing"), [("?", True), ("NULL", True), ("NA", False), ("none", False)])
def test_among_words_only_what_is_no_word_is_missing(word: str, means_missing: bool, tmp_path: Path) -> None:
    """NA is a country, and none may be an answer."""
    column, _ = _column(([word, "DE", "FR", "US"] * ROWS)[:ROWS], tmp_path)
    assert column.kind is Kind.CATEGORY
    assert column.missing_words == ((word,) if means_missing else ())


@pytest.mark.parametrize(("number", "scale"), [("-1", 1.1), ("-999", 1.1), ("9999", 0.1), ("-1.0", 0.5)])
def test_a_number_that_stands_apart_and_is_frequent_is_missing(number: str, scale: float, tmp_path: Path) -> None:
    """It does not make the bounds, and the comment says what to do where it is a number."""
    column, text = _column([number] * 50 + [f"{row * 37 % ROWS * scale:.2f}" for row in range(50, ROWS)], tmp_path)
    assert column.missing_words == (number,)
    assert column.minimum == 0.0
    assert column.maximum < 1000
    assert f"{number} (50); if it is a number, take it out of missing_words" in text


@pytest.mark.parametrize(
    "cells",
    [
        ["-1", *[str(row) for row in range(1, ROWS)]],
        ["-1"] * 50 + [f"{row - 120}.5" for row in range(50, ROWS)],
        (["-1", "0", "1"] * ROWS)[:ROWS],
        ["999"] * 50 + [f"{row * 5}.5" for row in range(50, ROWS)],
    ],
    ids=["once", "among negatives", "a code", "among its like"],
)
def test_a_number_that_may_be_one_is_a_number(cells: list[str], tmp_path: Path) -> None:
    """What is rare, one of few values, or within the range of others, is what it says."""
    assert _column(cells, tmp_path)[0].missing_words == ()


def test_a_column_of_nothing_else_is_empty(tmp_path: Path) -> None:
    """Words alone tell of no kind."""
    column, text = _column(["NULL"] * ROWS, tmp_path)
    assert (column.kind, column.missing_words) == (Kind.ENTITY, ("NULL",))
    assert "empty in every row" in text


def test_cells_that_mean_missing_are_left_out() -> None:
    """Of a column, whatever else it holds."""
    column = pd.Series(["1", "NULL", "x"])
    assert missing_words(column, lambda _: False).without(column).tolist() == ["1", "x"]

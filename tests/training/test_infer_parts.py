"""Year, month, day and time in columns of their own, found in a file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.schema import Kind, Missing
from training import data
from training.infer import infer_schema
from training.schema import Schema, parse_schema

ROWS = 120
MOMENTS = pd.Timestamp("2025-12-01 00:09:00") + pd.to_timedelta(np.arange(ROWS) * 17, unit="h")
DAY = {"Year": MOMENTS.year, "Month": MOMENTS.month, "Day": MOMENTS.day}


def _inferred(directory: Path, **columns: object) -> tuple[Schema, str]:
    amount = np.random.default_rng(0).uniform(1, 9, ROWS)
    frame = pd.DataFrame({"amount": amount, **columns, "fraud": (np.arange(ROWS) % 10 == 0).astype(int)})
    frame.to_csv(directory / "rows.csv", index=False)
    text = infer_schema(directory / "rows.csv")
    return parse_schema(text), text


@pytest.mark.parametrize(
    "clock",
    [
        {"Time": MOMENTS.strftime("%H:%M")},
        {"Time": MOMENTS.strftime("%H%M")},
        {"Time": MOMENTS.strftime("%I:%M:%S %p")},
        {"Hour": MOMENTS.hour, "Minute": MOMENTS.minute},
        {"Hour": MOMENTS.hour, "Minute": MOMENTS.minute, "Second": MOMENTS.second},
    ],
    ids=["clock", "digits", "meridiem", "minute", "second"],
)
def test_the_parts_of_a_time_are_found(clock: dict[str, object], tmp_path: Path) -> None:
    """In the order that the contract wants, whatever that of the file; training reads each moment from them."""
    schema, text = _inferred(tmp_path, **clock, **DAY)
    (time,) = [column for column in schema.columns if column.kind is Kind.TIMESTAMP]
    assert time.parts == (*DAY, *clock)
    assert not {column.name for column in schema.columns} & {*DAY, *clock}
    assert "a part of the time, read with transaction_time: uploads must have it too" in text
    read = data.load(schema.contract({}), tmp_path / "rows.csv")
    assert read.seconds is not None
    assert read.seconds.tolist() == [moment.timestamp() for moment in MOMENTS.tz_localize("UTC")]


@pytest.mark.parametrize(
    "names", [("tx_year", "tx_month", "tx_day"), ("yearOf", "monthOf", "dayOf"), ("YYYY", "MON", "DOM")]
)
def test_parts_may_have_names_with_more_in_them(names: tuple[str, str, str], tmp_path: Path) -> None:
    """As long as it is the same in all; a month may be a word."""
    parts = dict(zip(names, (MOMENTS.year, MOMENTS.strftime("%b"), MOMENTS.day), strict=True))
    schema, _ = _inferred(tmp_path, **parts)
    assert [column.parts for column in schema.columns if column.kind is Kind.TIMESTAMP] == [names]


@pytest.mark.parametrize(
    "columns",
    [
        {"Year": MOMENTS.year, "Month": MOMENTS.month},
        {"birth_year": 1980, "Month": MOMENTS.month, "Day": MOMENTS.day},
        {**DAY, "Year": 1975},
        {**DAY, "Day": 31},
        {**DAY, "paid_on": MOMENTS.strftime("%Y-%m-%d")},
    ],
    ids=["no day", "another year", "long ago", "no such day", "a date beside"],
)
def test_what_is_no_time_of_its_own_stays_apart(columns: dict[str, object], tmp_path: Path) -> None:
    """Each row must have a moment, and no other column may have it already."""
    schema, _ = _inferred(tmp_path, **columns)
    assert not [column for column in schema.columns if column.parts]
    assert "Month" in {column.name for column in schema.columns}


def test_a_clock_with_several_readings_is_left_out(tmp_path: Path) -> None:
    """905 is 9:05 or none: the day alone is the time."""
    schema, _ = _inferred(tmp_path, **DAY, Time=MOMENTS.strftime("%H%M").astype(int))
    (time,) = [column for column in schema.columns if column.parts]
    assert time.parts == tuple(DAY)


def test_missing_parts_make_missing_times(tmp_path: Path) -> None:
    """By a word too; the file trains."""
    day = np.where(np.arange(ROWS) % 40 == 7, "N/A", MOMENTS.day.astype(str))
    schema, _ = _inferred(tmp_path, **{**DAY, "Day": day})
    (time,) = [column for column in schema.columns if column.parts]
    assert (time.missing, time.missing_words) == (Missing.ALLOW, ("N/A",))
    assert data.load(schema.contract({}), tmp_path / "rows.csv").rows == ROWS

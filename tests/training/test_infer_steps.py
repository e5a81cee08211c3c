"""Times that count from some moment, and numbers that grow with the rows: neither ever has a maximum."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from contract.schema import FLOAT32_MAX, Kind, TimeFormat
from training import data
from training.infer import infer_schema
from training.schema import SchemaColumn, parse_schema

ROWS = 1200
DRAW = np.random.default_rng(5)


def _inferred(directory: Path, **columns: object) -> tuple[dict[str, SchemaColumn], str]:
    """The columns, in their order, and the whole text; the file trains with it."""
    amount = DRAW.permutation(np.linspace(1, 900, ROWS)).round(2)
    frame = pd.DataFrame({**columns, "amount": amount, "fraud": (np.arange(ROWS) % 10 == 0).astype(int)})
    frame.to_csv(directory / "rows.csv", index=False)
    text = infer_schema(directory / "rows.csv")
    schema = parse_schema(text)
    assert data.load(schema.contract({}), directory / "rows.csv").rows == ROWS
    return {column.name: column for column in schema.columns}, text


def _steps(of: int, night: float = 1.0) -> NDArray[np.int64]:
    """Steps from 0, in order; in the first eight of each 24 there are `night` times as many rows as in the others."""
    weights = np.where(np.arange(of) % 24 < 8, night, 1.0)
    steps: NDArray[np.int64] = np.sort(DRAW.choice(of, ROWS, p=weights / weights.sum()))
    steps[0], steps[-1] = 0, of - 1
    return steps


@pytest.mark.parametrize(
    ("name", "steps", "form", "reason"),
    [
        ("step", _steps(743, night=0.1), TimeFormat.HOURS, "repeats every 24 steps"),
        ("step", _steps(743), TimeFormat.HOURS, "743 days would be more than a year"),
        ("step", _steps(180), TimeFormat.DAYS, "without day and night"),
        ("Time Step", _steps(120, night=0.05), TimeFormat.HOURS, "repeats every 24 steps"),
        ("time_step", _steps(20), TimeFormat.HOURS, "20 days would be few"),
        ("hour", _steps(90), TimeFormat.HOURS, "by its name"),
        ("day_no", _steps(500), TimeFormat.DAYS, "by its name"),
    ],
)
def test_a_step_is_the_time_in_the_unit_that_is_likely(
    name: str, steps: object, form: TimeFormat, reason: str, tmp_path: Path
) -> None:
    """The comment says which was assumed, why, and what to write if it is the other one."""
    columns, text = _inferred(tmp_path, **{name: steps})
    assert (columns[name].kind, columns[name].time_format, columns[name].cycles) == (Kind.TIMESTAMP, form, ())
    other = "days" if form is TimeFormat.HOURS else "hours"
    assert f"CHECK: taken for the {form} since some moment" in text
    assert reason in text
    assert f'if they are {other}, time_format = "{other}"' in text


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("step", DRAW.integers(0, 700, ROWS)),
        ("hour", np.sort(DRAW.integers(0, 24, ROWS))),
        ("day", np.sort(DRAW.integers(1, 32, ROWS))),
        ("steps_walked", _steps(743)),
        ("step", np.linspace(0, 700, ROWS).round(1)),
    ],
    ids=["falls", "of a day", "of a month", "another name", "no whole numbers"],
)
def test_what_may_be_another_thing_is_a_number(name: str, numbers: object, tmp_path: Path) -> None:
    """A time never falls, and runs beyond a day and a month."""
    columns, _ = _inferred(tmp_path, **{name: numbers})
    assert columns[name].kind is Kind.NUMBER


@pytest.mark.parametrize("name", ["TransactionDT", "eventTs", "Time"])
def test_seconds_that_never_fall_are_the_time(name: str, tmp_path: Path) -> None:
    """With the name of a clock, and more than a day of them where the name could be another thing's."""
    columns, text = _inferred(tmp_path, **{name: 86_400 + np.sort(DRAW.integers(0, 10**7, ROWS))})
    assert (columns[name].kind, columns[name].time_format) == (Kind.TIMESTAMP, TimeFormat.SECONDS)
    assert 'if they are hours or days, time_format = "hours" or "days"' in text


def test_seconds_of_some_minutes_need_a_plain_name(tmp_path: Path) -> None:
    """Numbers of a column called like itemDT that hardly grow are no clock."""
    columns, _ = _inferred(tmp_path, itemDT=np.sort(DRAW.integers(0, 600, ROWS)))
    assert columns["itemDT"].kind is Kind.NUMBER


def test_a_step_has_history(tmp_path: Path) -> None:
    """Who appears again in it is remembered."""
    _, text = _inferred(tmp_path, step=_steps(180), customer=DRAW.integers(0, 100, ROWS))
    assert "[[history]]" in text


@pytest.mark.parametrize(("direction", "bounds"), [(1, ("minimum",)), (-1, ("maximum",))])
def test_what_grows_with_the_rows_has_no_maximum(direction: int, bounds: tuple[str, ...], tmp_path: Path) -> None:
    """Nor has what falls a minimum: later rows would be refused."""
    counter = direction * (np.arange(ROWS) * 3 + DRAW.integers(0, 40, ROWS))
    columns, text = _inferred(tmp_path, meter=counter)
    column = columns["meter"]
    assert column.kind is Kind.NUMBER
    open_bounds = {"minimum": column.minimum == -FLOAT32_MAX, "maximum": column.maximum == FLOAT32_MAX}
    assert tuple(name for name, is_open in open_bounds.items() if not is_open) == bounds
    assert f"CHECK: {'grows' if direction > 0 else 'falls'} with the rows" in text


def test_of_several_times_the_rows_follow_the_transaction_s(tmp_path: Path) -> None:
    """A date of somebody stands before it in the file, and has no order."""
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS) // 12, unit="D")
    policy = pd.Timestamp("2005-01-01") + pd.to_timedelta(DRAW.integers(0, 4000, ROWS), unit="D")
    columns, _ = _inferred(tmp_path, policy_bind_date=policy.strftime("%Y-%m-%d"), event_date=days.strftime("%Y-%m-%d"))
    assert next(iter(columns)) == "event_date"


def test_a_date_goes_before_a_step(tmp_path: Path) -> None:
    """Both grow with the rows; the date tells more."""
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(ROWS) // 12, unit="D")
    columns, _ = _inferred(tmp_path, step=np.arange(ROWS) // 12, at=days.strftime("%d.%m.%Y"))
    assert next(iter(columns)) == "at"

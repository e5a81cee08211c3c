"""A fault says what was expected and which setting decides, and repeats no cell."""

import pytest

from contract.faults import Fault, FaultCode
from contract.hints import hint_of, with_hints
from contract.schema import Column, Kind, TimeFormat
from contract.table import read_csv, read_json
from tests.contract.examples import AS_JSON, CONTRACT, GOOD, csv_bytes

DATE = Column("day", Kind.TIMESTAMP, time_format=TimeFormat.DAY_FIRST)


@pytest.mark.parametrize(
    ("column", "code", "words"),
    [
        (Column("amount", Kind.NUMBER, minimum=0.0, maximum=1e6), FaultCode.OUT_OF_BOUNDS, "0 to 1000000"),
        (DATE, FaultCode.NOT_A_DATE, "day-first, as 31/01/2026"),
        (Column("step", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS), FaultCode.NOT_A_DATE, "the form seconds;"),
        (DATE, FaultCode.MISSING, 'missing = "allow"'),
        (None, FaultCode.AMBIGUOUS_NUMBER, "decimal in the schema"),
        (None, FaultCode.MISSING, ""),
    ],
)
def test_a_hint_tells_what_was_expected(column: Column | None, code: FaultCode, words: str) -> None:
    """Bounds, the form of a time with an example, the setting."""
    assert words in hint_of(column, code)


def test_a_hint_that_is_there_stays_and_the_first_faults_get_one() -> None:
    """The others are only counted in an answer."""
    faults = [
        Fault(1, "amount", FaultCode.OUT_OF_BOUNDS),
        Fault(None, "#9", FaultCode.UNKNOWN_COLUMN, "its own"),
        Fault(2, "amount", FaultCode.OUT_OF_BOUNDS),
    ]
    hinted = with_hints(CONTRACT, faults, 2)
    assert [fault.hint for fault in hinted[1:]] == ["its own", ""]
    assert "10000" in hinted[0].hint
    assert "hint" not in hinted[2].to_json()


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("5/2/2026 13:05", "day-first or month-first"),
        ("31/1/2026", "day-first"),
        ("1714655100000", "milliseconds"),
        ("x", ""),
    ],
)
def test_the_form_of_a_wrong_time_is_told(cell: str, form: str) -> None:
    """In a file and in JSON; what is no time at all looks like nothing."""
    rows = read_csv(CONTRACT, csv_bytes([GOOD | {"time": cell}]))
    (as_json,) = read_json(CONTRACT, [AS_JSON | {"time": int(cell) if cell.isdigit() else cell}]).faults
    for fault in (*rows.faults, as_json):
        (hinted,) = with_hints(CONTRACT, [fault], 1)
        assert hinted.hint.endswith(f"this looks like {form}" if form else "decides")

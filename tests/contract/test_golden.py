import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.features import to_matrix
from contract.golden import GoldenRows
from contract.schema import Feature, FeatureKind
from contract.table import read_csv
from contract.windows import HOUR, Aggregate, Window
from tests.contract.examples import CONTRACT, GOOD, csv_bytes

PROBABILITIES = st.floats(0, 1)
CSV = csv_bytes([GOOD, GOOD | {"age": ""}]).decode()
WINDOWS = tuple(Window(Aggregate.MEAN, "card", "amount", hours * HOUR, HOUR) for hours in (1, 2, 3))
HISTORY = replace(
    CONTRACT,
    history=WINDOWS,
    features=(*CONTRACT.features, *(Feature(each.name, FeatureKind.NUMBER, each.name) for each in WINDOWS)),
)
PAST = ((1.0, None, 3.0), (4.0, 5.0, None))
VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.text(), st.lists(PROBABILITIES).map(tuple))
def test_golden_rows_survive_json(text: str, probabilities: tuple[float, ...]) -> None:
    """Rows and probabilities come back through JSON text bit by bit."""
    golden = GoldenRows(text, probabilities)
    assert GoldenRows.from_json(json.loads(json.dumps(golden.to_json()))) == golden


def test_the_matrix_is_that_of_an_upload() -> None:
    """Golden rows take the one feature path."""
    expected = to_matrix(CONTRACT, read_csv(CONTRACT, CSV.encode()).table)
    np.testing.assert_array_equal(GoldenRows(CSV, (0.1, 0.2)).matrix(CONTRACT), expected)


@given(st.lists(st.tuples(PROBABILITIES, PROBABILITIES), min_size=1))
def test_the_difference_is_the_largest(pairs: list[tuple[float, float]]) -> None:
    """The difference is the largest between an expected and an actual probability."""
    expected, actual = zip(*pairs, strict=True)
    assert GoldenRows("", expected).difference(np.array(actual)) == max(abs(a - b) for a, b in pairs)


@given(st.lists(PROBABILITIES), st.lists(PROBABILITIES))
def test_another_count_is_infinitely_different(expected: list[float], actual: list[float]) -> None:
    """Fewer or more answers than golden rows are no proof of anything, and nor are no rows at all."""
    difference = GoldenRows("", tuple(expected)).difference(np.array(actual))
    assert (difference == np.inf) == (not expected or len(expected) != len(actual))


def test_an_answer_that_is_no_number_is_never_close() -> None:
    """NaN among the answers is within no tolerance."""
    assert not GoldenRows("", (0.5, 0.5)).difference(np.array([0.5, np.nan])) <= 1.0


@given(st.lists(st.lists(VALUES, max_size=4).map(tuple), max_size=4).map(tuple))
def test_the_past_of_golden_rows_survives_json(history: tuple[tuple[float | None, ...], ...]) -> None:
    """History values come back bit by bit, and missing ones as missing; the text is JSON without NaN."""
    golden = GoldenRows("", (), history)
    text = json.dumps(golden.to_json(), allow_nan=False)
    assert GoldenRows.from_json(json.loads(text)) == golden


def test_golden_rows_come_with_their_past() -> None:
    """Their history values stand in the table, in the contract's order, and go the one feature path; None is NaN."""
    table = GoldenRows(CSV, (0.1, 0.2), PAST).table(HISTORY)
    wanted = np.array(PAST, dtype=np.float64)
    for place, window in enumerate(WINDOWS):
        np.testing.assert_array_equal(table.columns[window.name], wanted[:, place])
    matrix = GoldenRows(CSV, (0.1, 0.2), PAST).matrix(HISTORY)
    np.testing.assert_array_equal(matrix[:, -3:], wanted.astype(np.float32))
    np.testing.assert_array_equal(matrix[:, :-3], GoldenRows(CSV, (0.1, 0.2)).matrix(CONTRACT))


def test_golden_rows_of_older_archives_have_no_past() -> None:
    """A golden.json without history is read as before."""
    old = {"csv": CSV, "probabilities": [0.1, 0.2]}
    golden = GoldenRows.from_json(old)
    assert golden == GoldenRows(CSV, (0.1, 0.2))
    assert golden.table(CONTRACT).columns.keys() == read_csv(CONTRACT, CSV.encode()).table.columns.keys()


@pytest.mark.parametrize(
    "history",
    [
        (),
        PAST[:1],
        (*PAST, PAST[0]),
        (PAST[0][:2], PAST[1][:2]),
        (PAST[0], PAST[1][:2]),
        ((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),
        ((1.0, 2.0, 3.0, 4.0, 5.0, 6.0),),
    ],
    ids=["none", "fewer rows", "more rows", "narrow", "ragged", "turned", "flat"],
)
def test_a_past_of_another_shape_is_refused(history: tuple[tuple[float | None, ...], ...]) -> None:
    """It needs a value for each row and history feature: as many in another shape are others' values."""
    with pytest.raises(ValueError):  # noqa: PT011 - what matters is that nothing is scored
        GoldenRows(CSV, (0.1, 0.2), history).table(HISTORY)


def test_a_past_without_a_history_is_refused() -> None:
    """Values that the contract does not know belong to another one."""
    with pytest.raises(ValueError):  # noqa: PT011 - what matters is that nothing is scored
        GoldenRows(CSV, (0.1, 0.2), PAST).table(CONTRACT)

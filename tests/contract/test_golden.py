import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contract.features import to_matrix
from contract.golden import Golden
from contract.table import read_csv
from tests.contract.examples import CONTRACT, GOOD, csv_bytes

PROBABILITIES = st.floats(0, 1)
CSV = csv_bytes([GOOD, GOOD | {"age": ""}]).decode()


@given(st.text(), st.lists(PROBABILITIES).map(tuple))
def test_golden_rows_survive_json(text: str, probabilities: tuple[float, ...]) -> None:
    """Rows and probabilities come back through JSON text bit by bit."""
    golden = Golden(text, probabilities)
    assert Golden.from_json(json.loads(json.dumps(golden.to_json()))) == golden


def test_the_matrix_is_that_of_an_upload() -> None:
    """Golden rows take the one feature path."""
    expected = to_matrix(CONTRACT, read_csv(CONTRACT, CSV.encode()).table)
    np.testing.assert_array_equal(Golden(CSV, (0.1, 0.2)).matrix(CONTRACT), expected)


@given(st.lists(st.tuples(PROBABILITIES, PROBABILITIES), min_size=1))
def test_the_difference_is_the_largest(pairs: list[tuple[float, float]]) -> None:
    """The difference is the largest between an expected and an actual probability."""
    expected, actual = zip(*pairs, strict=True)
    assert Golden("", expected).difference(np.array(actual)) == max(abs(a - b) for a, b in pairs)


@given(st.lists(PROBABILITIES), st.lists(PROBABILITIES))
def test_another_count_is_infinitely_different(expected: list[float], actual: list[float]) -> None:
    """Fewer or more answers than golden rows are no proof of anything, and nor are no rows at all."""
    difference = Golden("", tuple(expected)).difference(np.array(actual))
    assert (difference == np.inf) == (not expected or len(expected) != len(actual))


def test_an_answer_that_is_no_number_is_never_close() -> None:
    """NaN among the answers is within no tolerance."""
    assert not Golden("", (0.5, 0.5)).difference(np.array([0.5, np.nan])) <= 1.0

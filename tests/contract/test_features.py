import calendar
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.features import FIRST_VALUE, MISSING, UNKNOWN, to_matrix
from contract.schema import FLOAT32_MAX, SOURCE_KIND, Column, Contract, Feature, FeatureKind, Kind
from contract.table import DictionaryEncoded, Table, read_csv
from contract.windows import DAY, HOUR, Aggregate, Window
from tests.contract.examples import COLUMNS, CONTRACT, FEATURES, GOOD, csv_bytes

MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
NUMBERS = st.lists(st.floats(-FLOAT32_MAX, FLOAT32_MAX), min_size=1)


def compute(kind: FeatureKind, values: list[float] | list[str], known: tuple[str, ...] = ()) -> NDArray[np.float32]:
    """One feature over one column; any warning is an error."""
    contract = Contract("c", (Column("c", SOURCE_KIND[kind], values=known),), (Feature("f", kind, "c"),))
    dtype = object if SOURCE_KIND[kind] is Kind.CATEGORY else np.float64
    matrix = to_matrix(contract, Table({"c": np.array(values, dtype=dtype)}, np.arange(len(values))))
    return matrix[:, 0]


def turn(sine: FeatureKind, cosine: FeatureKind, seconds: float) -> float:
    """How far round its circle a moment stands, from 0 to 1."""
    angle = np.arctan2(compute(sine, [seconds]), compute(cosine, [seconds]))[0]
    return float(angle / (2 * np.pi)) % 1


@given(MOMENTS)
def test_the_hour_is_the_time_of_day(moment: datetime) -> None:
    """The hour's circle stands where datetime's clock does, in any year."""
    day = (moment.hour + moment.minute / 60 + moment.second / 3600) / 24
    error = abs(turn(FeatureKind.HOUR_SIN, FeatureKind.HOUR_COS, moment.timestamp()) - day)
    assert min(error, 1 - error) < 1e-6


@given(MOMENTS)
def test_the_weekday_is_that_of_the_calendar(moment: datetime) -> None:
    """The weekday's circle stands on datetime's weekday the whole day long, in any year."""
    days = turn(FeatureKind.WEEKDAY_SIN, FeatureKind.WEEKDAY_COS, moment.timestamp()) * 7
    assert round(days) % 7 == moment.weekday()
    assert abs(days - round(days)) < 1e-5


def test_monday_is_where_the_week_begins() -> None:
    """On a Monday the sine is 0 and the cosine 1."""
    monday = float(calendar.timegm((2024, 1, 1, 15, 30, 0)))
    assert compute(FeatureKind.WEEKDAY_SIN, [monday])[0] == 0
    assert compute(FeatureKind.WEEKDAY_COS, [monday])[0] == 1


@given(st.lists(st.floats(-FLOAT32_MAX, FLOAT32_MAX), min_size=1))
def test_a_far_moment_is_still_on_its_circle(seconds: list[float]) -> None:
    """Seconds from any epoch, however far, give cycles between -1 and 1 without a warning."""
    for kind in (FeatureKind.HOUR_SIN, FeatureKind.HOUR_COS, FeatureKind.WEEKDAY_SIN, FeatureKind.WEEKDAY_COS):
        assert np.all(np.abs(compute(kind, seconds)) <= 1)


@given(NUMBERS)
def test_a_number_is_the_nearest_float32(numbers: list[float]) -> None:
    """Any number that a contract accepts stays finite as float32, to float32's own precision."""
    values = compute(FeatureKind.NUMBER, numbers)
    assert np.all(np.isfinite(values))
    np.testing.assert_array_equal(values, np.array(numbers).astype(np.float32))


@given(NUMBERS)
def test_the_logarithm_keeps_sign_and_order(numbers: list[float]) -> None:
    """The log of a number is odd, finite, and never changes which of two is larger."""
    logs = compute(FeatureKind.LOG, sorted(numbers))
    assert np.all(np.isfinite(logs))
    assert np.all(np.diff(logs) >= 0)
    np.testing.assert_array_equal(compute(FeatureKind.LOG, [-number for number in sorted(numbers)]), -logs)


def test_the_logarithm_is_that_of_one_plus() -> None:
    """Nothing is 0 and e - 1 is 1."""
    np.testing.assert_allclose(compute(FeatureKind.LOG, [0.0, np.e - 1, 1 - np.e]), [0, 1, -1], rtol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in FeatureKind if kind is not FeatureKind.CATEGORY])
def test_only_a_missing_cell_is_nan(kind: FeatureKind) -> None:
    """A missing number stays NaN for the model to impute; its neighbours do not."""
    assert np.isnan(compute(kind, [1.0, np.nan, -1.0])).tolist() == [False, True, False]


def test_a_category_is_its_place_among_the_values() -> None:
    """Known values have codes in their order, from 2."""
    codes = compute(FeatureKind.CATEGORY, ["online", "chip"], ("chip", "online"))
    assert codes.tolist() == [FIRST_VALUE + 1, FIRST_VALUE]


@given(st.lists(st.text()))
def test_any_other_category_is_unknown_and_none_is_missing(values: list[str]) -> None:
    """A value that training did not know is 0, an empty one is 1."""
    codes = compute(FeatureKind.CATEGORY, values, ("no text that hypothesis draws",))
    assert codes.tolist() == [UNKNOWN if value else MISSING for value in values]


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=1), st.data())
def test_a_column_by_its_distinct_values_gives_the_same_codes(texts: list[str], data: st.DataObject) -> None:
    """Of the whole table, and of some of its rows."""
    contract = Contract(
        "c", (Column("c", Kind.CATEGORY, values=("a", "b")),), (Feature("f", FeatureKind.CATEGORY, "c"),)
    )
    values, indices = np.unique(np.array(texts, dtype=object), return_inverse=True)
    columns, numbers = {"c": values[indices]}, np.arange(len(texts))
    encoded = Table(columns, numbers, {"c": DictionaryEncoded(indices, values)})
    some = np.array(data.draw(st.lists(st.sampled_from(range(len(texts))))), dtype=np.int64)
    for plain, other in ((Table(columns, numbers), encoded), (Table(columns, numbers).take(some), encoded.take(some))):
        np.testing.assert_array_equal(to_matrix(contract, plain), to_matrix(contract, other.extended({})))


def test_the_matrix_has_the_contract_s_shape() -> None:
    """The matrix is float32 in C order, a row a transaction and a column a feature, in the contract's order."""
    rows = [GOOD, GOOD | {"amount": "7", "age": "", "channel": ""}]
    matrix = to_matrix(CONTRACT, read_csv(CONTRACT, csv_bytes(rows)).table)
    assert (matrix.dtype, matrix.shape) == (np.dtype(np.float32), (2, CONTRACT.width))
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix[:, :3], np.array([[12.5, np.log1p(30), 2], [7, np.nan, 1]], dtype=np.float32))


def test_no_rows_give_an_empty_matrix() -> None:
    """A table without rows gives a matrix of the right width."""
    assert to_matrix(CONTRACT, read_csv(CONTRACT, csv_bytes([])).table).shape == (0, CONTRACT.width)


@given(st.lists(st.floats(-FLOAT32_MAX, FLOAT32_MAX) | st.just(np.nan), min_size=2, max_size=2))
def test_a_history_feature_is_a_column_of_numbers(values: list[float]) -> None:
    """What reads a history feature computes of it as of any number; a missing one is NaN."""
    window = Window(Aggregate.MEAN, "card", "amount", DAY, HOUR)
    kinds = (FeatureKind.NUMBER, FeatureKind.LOG)
    features = (*FEATURES, *(Feature(str(kind), kind, window.name) for kind in kinds))
    contract = Contract("c", COLUMNS, features, (window,))
    table = read_csv(contract, csv_bytes([GOOD, GOOD])).table
    matrix = to_matrix(contract, table.extended({window.name: np.array(values)}))
    np.testing.assert_array_equal(matrix[:, :-2], to_matrix(CONTRACT, table))
    for place, kind in enumerate(kinds):
        np.testing.assert_array_equal(matrix[:, place - 2], compute(kind, values))

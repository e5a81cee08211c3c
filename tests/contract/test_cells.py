import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.cells import MAX_TEXT_LENGTH, Cells, from_json, from_text
from contract.faults import CellFault, FaultCode
from contract.schema import FLOAT32_MAX, Column, Kind, Missing, TextMatch, TimeFormat
from tests.contract.examples import COLUMNS, JSON_VALUES

NUMBER = Column("n", Kind.NUMBER)
OPTIONAL = Column("n", Kind.NUMBER, Missing.ALLOW)
DATE = Column("t", Kind.TIMESTAMP)
SECONDS = Column("t", Kind.TIMESTAMP, time_format=TimeFormat.SECONDS)
WORD = Column("c", Kind.CATEGORY, Missing.ALLOW)
COUNTRY = Column("c", Kind.CATEGORY, values=("US", "gift cards"), match=TextMatch.NORMAL)
CARD = Column("c", Kind.ENTITY, match=TextMatch.UNQUOTED)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
OFFSETS = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(
    lambda delta: timezone(timedelta(minutes=delta // timedelta(minutes=1)))
)


def value_of(cells: Cells) -> object:
    """The only value, where it is without a fault."""
    assert not cells.faults
    (value,) = cells.values
    return value


def fault_of(cells: Cells) -> FaultCode:
    """The fault of the only cell."""
    (code,) = cells.faults.values()
    return code


def seconds(text: str) -> float:
    """The moment that fromisoformat reads, as seconds."""
    return datetime.fromisoformat(text).timestamp()


@given(st.lists(FINITE))
def test_text_and_json_agree_on_every_finite_number(numbers: list[float]) -> None:
    """A number gives the same value or the same fault, written in a CSV cell or in JSON."""
    text, value = from_text(NUMBER, [repr(number) for number in numbers]), from_json(NUMBER, numbers)
    assert text.values.tobytes() == value.values.tobytes()
    assert text.faults == value.faults


@given(st.integers() | st.integers(-(10**400), 10**400) | st.just(10**400))
def test_text_and_json_agree_on_every_integer(number: int) -> None:
    """An integer of any length gives the same value or the same fault from both."""
    text, value = from_text(NUMBER, [str(number)]), from_json(NUMBER, [number])
    assert text.faults == value.faults
    if not text.faults:
        np.testing.assert_array_equal(text.values, value.values)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9))
def test_a_number_is_rounded_once(number: object) -> None:
    """A decimal becomes the nearest float64, whatever its digits."""
    text = str(number)
    assert value_of(from_text(NUMBER, [text])) == float(Fraction(text))


@given(st.text("0123456789.eE+-_ nNaAiIfFxX\u0661\u00a0\t"))
def test_a_clean_neighbour_does_not_change_how_a_number_is_read(text: str) -> None:
    """A cell gives the same value and fault alone, beside clean cells and beside bad ones."""
    alone, clean, bad = (from_text(OPTIONAL, [text, *rest]) for rest in ([], ["1"], ["bad"]))
    assert alone.faults.get(0) == clean.faults.get(0) == bad.faults.get(0)
    if not alone.faults:
        np.testing.assert_array_equal([clean.values[0], bad.values[0]], [alone.values[0]] * 2)


@pytest.mark.parametrize(
    "text",
    [
        "1_000",
        "\u0661\u0662",
        "\uff11",
        "0x1F",
        "1,5",
        "1 000",
        "--1",
        "1e",
        ".",
        "+",
        "true",
        "None",
        "NA",
        "one",
        "1\ufeff",
        "12\u00b2",
    ],
)
def test_text_that_is_no_number_is_not_a_number(text: str) -> None:
    """Underscores, digits of other scripts, hexadecimal and words are no numbers."""
    assert fault_of(from_text(NUMBER, [text])) is FaultCode.NOT_A_NUMBER


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "inf", "-Infinity", "1e999", "-1e999", "9" * 400])
def test_a_number_that_is_not_finite_is_a_fault(text: str) -> None:
    """NaN, infinity and numbers beyond float64 are not finite, and never a missing cell."""
    assert fault_of(from_text(OPTIONAL, [text])) is FaultCode.NOT_FINITE


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, 10**400, -(10**400)], ids=["nan", "inf", "-inf", "huge", "-huge"]
)
def test_a_json_number_that_is_not_finite_is_a_fault(number: float) -> None:
    """JSON's NaN, infinity and integers beyond float64 are the same fault as in a CSV cell."""
    assert fault_of(from_json(OPTIONAL, [number])) is FaultCode.NOT_FINITE


@pytest.mark.parametrize("text", [" 1.5", "1.5 ", "\t1.5", "+1.5", "1.5e0", "01.5", "1.5\u00a0", "15e-1"])
def test_spaces_and_other_spellings_of_a_number_are_read(text: str) -> None:
    """Spaces around a number, a sign, zeros in front and an exponent are fine."""
    assert value_of(from_text(NUMBER, [text])) == 1.5


@pytest.mark.parametrize("value", [True, False, "1", "", [], {}, [1], b"1", object()])
def test_json_accepts_only_numbers_for_numbers(value: object) -> None:
    """In JSON a string is no number and true is no 1."""
    assert fault_of(from_json(OPTIONAL, [value])) is FaultCode.NOT_A_NUMBER


@given(st.floats(-FLOAT32_MAX, FLOAT32_MAX), FINITE)
def test_bounds_are_inclusive(bound: float, number: float) -> None:
    """A number is out of bounds exactly when it is smaller than the minimum or larger than the maximum."""
    low = from_json(Column("n", Kind.NUMBER, minimum=bound), [number])
    high = from_json(Column("n", Kind.NUMBER, maximum=bound), [number])
    assert bool(low.faults) == (number < bound or number > FLOAT32_MAX)
    assert bool(high.faults) == (number > bound or number < -FLOAT32_MAX)


@pytest.mark.parametrize("text", ["3.5e38", "-3.5e38", "1e308"])
def test_a_number_beyond_float32_is_out_of_bounds(text: str) -> None:
    """A finite number that the matrix could not hold is refused even without declared bounds."""
    assert fault_of(from_text(NUMBER, [text])) is FaultCode.OUT_OF_BOUNDS


@pytest.mark.parametrize("column", [*COLUMNS, SECONDS], ids=lambda column: f"{column.name}-{column.kind}")
@pytest.mark.parametrize("text", ["", " ", "\t\u00a0"])
def test_the_policy_decides_about_a_missing_cell(column: Column, text: str) -> None:
    """An empty or blank cell is missing: a fault where the column refuses it, else no value."""
    for cells in (from_text(column, [text]), from_json(column, [None])):
        assert cells.faults == ({0: FaultCode.MISSING} if column.missing is Missing.REFUSE else {})
        assert cells.values[0] == "" or math.isnan(cells.values[0])


def test_a_bad_cell_is_not_called_missing() -> None:
    """A cell with a fault of its own keeps it, though it has no value."""
    assert from_text(NUMBER, ["", "x", "inf"]).faults == {
        0: FaultCode.MISSING,
        1: FaultCode.NOT_A_NUMBER,
        2: FaultCode.NOT_FINITE,
    }


@given(st.sampled_from([*COLUMNS, SECONDS]), st.lists(st.text() | st.text("0123456789-:TZ+W. ")))
def test_no_text_raises(column: Column, texts: list[str]) -> None:
    """Whatever the cells hold, the answer has a value for each and a code for the bad ones."""
    cells = from_text(column, texts)
    assert len(cells.values) == len(texts)
    assert cells.faults.keys() <= set(range(len(texts)))


@given(st.sampled_from([*COLUMNS, SECONDS]), st.lists(JSON_VALUES | st.text("\ud800a1-:")))
def test_no_json_value_raises(column: Column, values: list[object]) -> None:
    """Whatever the JSON values are, the answer has a value for each and a code for the bad ones."""
    cells = from_json(column, values)
    assert len(cells.values) == len(values)
    assert cells.faults.keys() <= set(range(len(values)))


@given(st.datetimes(timezones=OFFSETS | st.just(UTC)))
def test_a_date_with_an_offset_is_that_moment(moment: datetime) -> None:
    """ISO 8601 text with an offset gives the moment's seconds, from year 1 to year 9999, in CSV and JSON."""
    text = moment.isoformat()
    assert value_of(from_text(DATE, [text])) == value_of(from_json(DATE, [text])) == moment.timestamp()


@given(st.datetimes(), st.sampled_from("T t"))
def test_a_date_without_an_offset_is_utc(moment: datetime, separator: str) -> None:
    """Text that names no offset is UTC, with a T or a space before the time."""
    text = moment.isoformat(separator)
    assert value_of(from_text(DATE, [text])) == moment.replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-02-29", "2024-02-29T00:00:00+00:00"),
        ("2024-01-01T12:00Z", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01T12", "2024-01-01T12:00:00+00:00"),
        ("20240101T120000", "2024-01-01T12:00:00+00:00"),
        ("2024-W01-1", "2024-01-01T00:00:00+00:00"),
        ("2024W011T12", "2024-01-01T12:00:00+00:00"),
        (" 2024-01-01 ", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01T12:00:00,5", "2024-01-01T12:00:00.500000+00:00"),
        ("2024-01-01T12:00:00.123456789Z", "2024-01-01T12:00:00.123456+00:00"),
        ("2024-01-01T12:00:00-0530", "2024-01-01T17:30:00+00:00"),
        ("2024-01-01t12:00:00z", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01T12:00:00+0000", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01 12:00:00+00", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01 12:00:00 UTC", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01 12:00:00.5 gmt", "2024-01-01T12:00:00.500000+00:00"),
        ("2024-01-01 12:00:00 +0000 UTC", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01 12:00:00 +0200", "2024-01-01T10:00:00+00:00"),
        ("20240101T120000Z", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01T13:00:00+01:00[Europe/Berlin]", "2024-01-01T12:00:00+00:00"),
        ("2024-01-01T12:00Z[UTC]", "2024-01-01T12:00:00+00:00"),
        ("Mon, 01 Jan 2024 12:00:00 +0000", "2024-01-01T12:00:00+00:00"),
        ("Mon, 1 Jan 2024 12:00:00 GMT", "2024-01-01T12:00:00+00:00"),
        ("Mon, 01 Jan 2024 07:00:00 -0500 (EST)", "2024-01-01T12:00:00+00:00"),
        ("Mon Jan 01 2024 13:00:00 GMT+0100 (Mitteleurop\u00e4ische Normalzeit)", "2024-01-01T12:00:00+00:00"),
        ("Mon Jan 01 2024", "2024-01-01T00:00:00+00:00"),
        ("Mon Jan  1 12:00:00 2024", "2024-01-01T12:00:00+00:00"),
        ("Mon Jan 01 12:00:00 UTC 2024", "2024-01-01T12:00:00+00:00"),
        ("0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00+23:59"),
        ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59-23:59"),
    ],
)
def test_the_spellings_of_iso_8601_are_read(text: str, same: str) -> None:
    """Dates alone, week dates, compact forms, fractions, offsets, zones that add nothing, and dates of mails."""
    assert value_of(from_text(DATE, [text])) == seconds(same)


@pytest.mark.parametrize(
    "text",
    [
        "today",
        "2024",
        "2024-01",
        "2024-001",
        "2023-02-29",
        "2024-13-01",
        "2024-01-01T24:00",
        "2024-12-31T23:59:60Z",
        "2024-01-01T",
        "2024-01-01T12:00:00+24:00",
        "2024-01-01T12:00:00  +01:00",
        "2024-01-01T12:00:00+01:00 UTC",
        "2024-01-01T12:00:00 CEST",
        "Sun Jan 01 2024 12:00:00 GMT+0000",
        "2024-01-01T12:00x+01:00",
        "2024-01-01x12:00",
        "2024-01-01\u260312:00",
        "0000-01-01",
        "10000-01-01",
        "-0001-01-01",
        "01/02/2024",
        "\uff12024-01-01",
        "2024-01-01T1\u0662:00",
        "2024-01-01T12:00:00[UTC]",
    ],
)
def test_text_that_is_no_date_is_not_a_date(text: str) -> None:
    """A leap second, a day that is not, another separator or script, or another notation is no date."""
    assert fault_of(from_text(DATE, [text])) is FaultCode.NOT_A_DATE


@pytest.mark.parametrize("text", ["1711111111", "1711111111111", "17111111111.5", "20240101123", "1.7e9"])
def test_a_number_of_seconds_is_no_date(text: str) -> None:
    """Seconds and milliseconds in a column of ISO dates are a fault, never a moment of the year 1711."""
    assert fault_of(from_text(DATE, [text])) is FaultCode.NOT_A_DATE


@pytest.mark.parametrize("value", [0, 1.5, True, [], {}, "", "x"])
def test_json_accepts_only_text_for_dates(value: object) -> None:
    """In JSON a date is a string; a number is none, and an empty string is missing."""
    assert fault_of(from_json(DATE, [value])) is (FaultCode.MISSING if value == "" else FaultCode.NOT_A_DATE)


@given(FINITE.filter(lambda number: abs(number) <= FLOAT32_MAX))
def test_a_timestamp_in_seconds_is_any_number(number: float) -> None:
    """Epoch seconds may be of any moment, near or far."""
    assert value_of(from_text(SECONDS, [repr(number)])) == value_of(from_json(SECONDS, [number])) == number


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_TEXT_LENGTH))
def test_text_loses_only_the_spaces_around_it(text: str) -> None:
    """A category is the cell without the spaces around it, the same in CSV and JSON."""
    assert value_of(from_text(WORD, [text])) == value_of(from_json(WORD, [text])) == text.strip()


@pytest.mark.parametrize("excess", [0, 1])
def test_text_has_a_longest_length(excess: int) -> None:
    """Text of the longest length is fine and one character more is too long; spaces around it do not count."""
    text = " " + "x" * (MAX_TEXT_LENGTH + excess) + " "
    for cells in (from_text(WORD, [text]), from_json(WORD, [text])):
        assert cells.faults == ({0: FaultCode.TOO_LONG} if excess else {})


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, "\ud800", "a\udfffb"])
def test_json_accepts_only_encodable_text_for_text(value: object) -> None:
    """A number, a boolean, a list or a lone surrogate is no text."""
    assert fault_of(from_json(WORD, [value])) is FaultCode.NOT_TEXT


def test_no_cells_are_no_values() -> None:
    """An empty column converts to empty values of its type."""
    assert from_text(NUMBER, []).values.dtype == from_json(DATE, []).values.dtype == np.float64
    assert from_text(WORD, []).values.dtype == from_json(WORD, []).values.dtype == object


def test_a_cell_fault_says_its_code_alone() -> None:
    """The message of a cell's fault is its code."""
    assert str(CellFault(FaultCode.NOT_A_DATE)) == "not_a_date"


PLAIN = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)).map(str)  # noqa: DTZ001 - naive text
NEARLY = st.text("0123456789-:. T", min_size=19, max_size=26) | PLAIN.map(lambda text: text.replace("1", "6", 1))


@given(st.lists(PLAIN | PLAIN.map(lambda text: text.replace(" ", "T")), min_size=1, max_size=5))
def test_a_clean_column_of_dates_is_what_its_cells_are(texts: list[str]) -> None:
    """Reading a column of dates at once gives what each cell gives by itself, to the last bit."""
    column = Column("when", Kind.TIMESTAMP)
    alone = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in texts]
    assert from_text(column, texts).values.tolist() == alone


@given(st.lists(PLAIN | NEARLY, min_size=1, max_size=5))
def test_dates_at_once_and_one_by_one_agree(texts: list[str]) -> None:
    """What is nearly a date is a fault in a column of dates too."""
    column = Column("when", Kind.TIMESTAMP)
    together = from_text(column, texts)
    careful = from_text(column, ["", *texts])  # an empty cell sends the whole column the careful way
    assert np.array_equal(together.values, careful.values[1:], equal_nan=True)
    assert {place + 1: code for place, code in together.faults.items()} | {0: FaultCode.MISSING} == careful.faults


WITH_WORDS = [
    replace(column, missing=Missing.ALLOW, missing_words=("NULL", "n/a", "-1"))
    for column in (NUMBER, SECONDS, DATE, WORD, Column("e", Kind.ENTITY))
]


@pytest.mark.parametrize("column", WITH_WORDS, ids=lambda column: f"{column.kind}-{column.time_format}")
@pytest.mark.parametrize("text", ["NULL", " null ", "N/A", "-1"])
def test_a_word_that_means_missing_is_a_missing_cell(column: Column, text: str) -> None:
    """In any case, with blanks around it, in a file as in JSON."""
    for cells in (from_text(column, [text, text]), from_json(column, [text, text])):
        assert not cells.faults
        assert cells.values[0] == "" or math.isnan(cells.values[0])


@pytest.mark.parametrize("text", ["-1", "-1.0", " -1e0", "-1.000"])
@pytest.mark.parametrize("form", [None, TimeFormat.SECONDS, TimeFormat.MILLISECONDS])
def test_a_number_that_means_missing_is_one_however_it_is_written(text: str, form: TimeFormat | None) -> None:
    """Before bounds are checked, and in the column's own unit; its neighbours keep their values."""
    words = ("-1",)
    column = Column("n", Kind.NUMBER, Missing.ALLOW, minimum=0.0, missing_words=words)
    if form:
        column = Column("t", Kind.TIMESTAMP, Missing.ALLOW, time_format=form, missing_words=words)
    for cells in (from_text(column, [text, "1"]), from_json(column, [float(text), 1])):
        assert not cells.faults
        assert np.isnan(cells.values).tolist() == [True, False]


def test_a_missing_word_is_subject_to_the_policy_of_missing_cells() -> None:
    """A column that refuses empty cells refuses these too."""
    column = replace(NUMBER, missing_words=("NULL", "-1"))
    assert from_text(column, ["NULL", "-1.0", "2"]).faults == {0: FaultCode.MISSING, 1: FaultCode.MISSING}


def test_a_word_means_missing_only_where_the_column_says_so() -> None:
    """A number's text is no number among texts, and other words are what they are."""
    assert value_of(from_text(replace(WORD, missing_words=("-1",)), ["-1.0"])) == "-1.0"
    assert fault_of(from_text(replace(NUMBER, missing_words=("NULL",)), ["N/A"])) is FaultCode.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("text", "read"),
    [("US", "US"), ("us", "US"), ("'us'", "US"), (" Us ", "US"), ("GIFT_CARDS", "gift cards"), ("New One", "new_one")],
)
def test_a_category_in_normal_form_is_the_known_value(text: str, read: str) -> None:
    """However it is written, in a file and in JSON; an unknown one is its own normal form."""
    assert value_of(from_text(COUNTRY, [text])) == value_of(from_json(COUNTRY, [text])) == read


@pytest.mark.parametrize(("text", "read"), [("'C12'", "C12"), ('"C12"', "C12"), ("c12", "c12"), ("C 12", "C 12")])
def test_an_entity_loses_its_quotes_alone(text: str, read: str) -> None:
    """Its case stays: C12 and c12 may be two cards."""
    assert value_of(from_text(CARD, [text])) == value_of(from_json(CARD, [text])) == read


@pytest.mark.parametrize("column", [COUNTRY, CARD])
def test_quotes_around_nothing_are_a_missing_cell(column: Column) -> None:
    """It is empty, as it would be without them."""
    assert fault_of(from_text(column, ["''"])) is FaultCode.MISSING


def test_a_word_that_means_missing_may_stand_in_quotes() -> None:
    """Where quotes around a text do not count."""
    column = replace(CARD, missing=Missing.ALLOW, missing_words=("NULL",))
    assert value_of(from_text(column, ["'null'"])) == value_of(from_json(column, ["'null'"])) == ""


@pytest.mark.parametrize("column", [COUNTRY, CARD])
def test_the_length_of_a_text_is_counted_without_its_quotes(column: Column) -> None:
    """As long as a text may be."""
    longest = "x" * MAX_TEXT_LENGTH
    assert value_of(from_text(column, [f"'{longest}'"])) == longest
    assert fault_of(from_text(column, [f"'{longest}x'"])) is FaultCode.TOO_LONG


def test_an_exact_column_takes_each_text_as_it_is() -> None:
    """As contracts of earlier releases do."""
    exact = Column("c", Kind.CATEGORY, values=("US",))
    assert [value_of(from_text(exact, [text])) for text in ("'US'", "us")] == ["'US'", "us"]

"""Two readers of one file: what pyarrow reads is what `read_csv` reads, value by value, or is left to it."""

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.faults import InputError
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TextMatch, TimeFormat
from contract.table import ParsedRows, read_csv
from gateway.requests import arrow_reader
from gateway.requests.arrow_reader import read_clean_csv
from tests.contract.examples import CONTRACT, GOOD, INPUTS, lines
from tests.gateway.contracts import CONTRACTS, as_csv, bad_texts, good_row

NUMBERS = [
    "nan", "NaN", "inf", "-Infinity", "0x10", "+5", "1e5", "1E-5", "1e400", "1e-400", ".5", "5.", "-", ".", "-0", "5e",
    "1_000", " 7 ", "\t7", "7\x0b", "\xa07", "\u0663", "\uff11", "1 0", "True", "--5", "00012", "1d5", "1f", "NA",
    "null", "-.5e1",     "9" * 400, f"0.{'0' * 330}1", "2.2250738585072011e-308", "179769313486231580793e289", "1e+05",
    "0b1", "nan(1)", "",
]  # fmt: skip
DAY = "2026-01-01"
TIMES = [
    DAY, f"{DAY}T10", f"{DAY}T1030", f"{DAY}T103000", f"{DAY} 10:30", f"{DAY}T24:00:00", f"{DAY}T23:59:60", "",
    "2026-02-30T10:00:00", "0000-01-01T00:00:00", "1600-01-01T00:00:00", "1700-06-01T00:00:00", "9999-12-31T23:59:59",
    f"{DAY}T10:00:00Z", f"{DAY}T10:00:00z", f"{DAY}T10:00:00+01:00", f"{DAY}T10:00:00+0100", f"{DAY}T10:00:00+01",
    f"{DAY}T10:00:00+25:00", f"{DAY}T10:00:00-00:00", f"{DAY}T10:00:00+23:59", f"{DAY}T10:00:00+24:00", "now", "NaT",
    f"{DAY}t10:00:00", f"{DAY}T10:00:00.1234567", f"{DAY}T10:00:00.", f"{DAY}T10:00:00,5", "2026-W01-1", "20260101",
    "2026-1-1", f"{DAY}  10:00:00", f" {DAY}T10:00:00", f"{DAY}T10:00:00 ", f"{DAY}T10:00:00.5Z", "1711111111111",
    f"{DAY}T10:00Z", f"{DAY}T10:00:00+01:60", f"{DAY}T10:00:00.000001", "-2026-01-01", f"+{DAY}", f"{DAY}T10:00:00 UTC",
]  # fmt: skip
TEXTS = [
    "", " ", "a ", " a", "\xa0a", "\x1ca", "a\x85", "\ufeffa", "x" * 256, "x" * 257, "é" * 256, "null", "NA", "nan",
    "é", "a b", "a;b", "'a'", "\x7f", "\u2028",
]  # fmt: skip
RAW = [
    *TEXTS,
    'a"b',
    '"a"b',
    '"a',
    '"a""b"',
    '"a\nb"',
    '"a,b"',
    '""',
    ' "a"',
    '"a" ',
    "a\rb",
    "a,b",
    "a\0",
    '"x',
    "x\n",
]
"""Pieces of a line, quotes and all."""
LINES = ["1", "", '""', " ", '"3"', "nan", "\t", "1,", ",a", '1,""', '","', ",", "\ufeff1", "\x0c", "1,b", "a"]
NUMBER, FEATURE = Column("n", Kind.NUMBER, Missing.ALLOW), Feature("n", FeatureKind.NUMBER, "n")
MATCHES = {
    "id": TextMatch.UNQUOTED,
    "channel": TextMatch.NORMAL,
    "card": TextMatch.UNQUOTED,
}
MATCHING = replace(
    CONTRACT,
    columns=tuple(replace(each, match=MATCHES.get(each.name, TextMatch.EXACT)) for each in CONTRACT.columns),
)
"""The same columns, in which a text may be written in several ways."""
SPELLINGS = ["chip", "Chip", "'chip'", " CHIP", "on-line", "ON_LINE", "C12", "c12", "'C12'", "o'neill", "'", "é'"]
CENTURIES = st.datetimes().map(
    lambda moment: moment.replace(year=1700 + 4 * (moment.year % 125), day=1 + moment.day % 28)
)
LIKE_MOMENTS = st.text("0123456789-:T Z+.,", max_size=27)


@pytest.fixture(autouse=True)
def of_any_size() -> Iterator[None]:
    """Files need no size here, and lines and pieces are long early."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_reader, "MIN_BYTES", 0)
        patch.setattr(arrow_reader, "LINE_BYTES", 4_000)
        patch.setattr(arrow_reader, "PIECE_ROWS", 3)
        yield


def cells_of(name: str, odd: int) -> st.SearchStrategy[str]:
    """Cells for a column of CONTRACT: clean ones that differ, and every `odd`-th or so an odd one, with 0 none."""
    column = next(column for column in CONTRACT.inputs if column.name == name)
    if column.kind is Kind.TIMESTAMP and not column.is_number:
        clean, others = CENTURIES.map(str), st.sampled_from(TIMES) | LIKE_MOMENTS
    elif column.is_number:
        clean, others = st.floats(0, 10_000).map(repr), st.sampled_from(NUMBERS) | st.floats().map(repr)
    else:
        clean, others = st.sampled_from([GOOD[name], f"{GOOD[name]}-{name}", "é x"]), st.sampled_from([*TEXTS, *RAW])
    return st.integers(1, odd).flatmap(lambda number: others if number == odd else clean) if odd else clean


@st.composite
def files(draw: st.DrawFn, odd: int) -> bytes:
    """Files for CONTRACT, in any order of columns, mostly clean."""
    names = draw(st.permutations([*INPUTS, *draw(st.sampled_from([[], [], ["fraud"], ["other"], ["amount"]]))]))
    columns = {name: cells_of(name, odd) if name in INPUTS else st.sampled_from(["", "0", "1"]) for name in names}
    quote = draw(st.sampled_from(["", "", '"']))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    records = [[quote + draw(columns[name]) + quote for name in names] for _ in range(draw(st.integers(0, 12)))]
    text = [",".join(names), *(",".join(record) for record in records)]
    for place in draw(st.lists(st.integers(0, len(text)), max_size=1)):
        text.insert(place, draw(st.sampled_from(["", " ", "a", "\r", "\ufeff", ",", "a,b\rc", "," * (len(names) - 1)])))
    mark = draw(st.sampled_from(["", "", "\ufeff", " "]))
    return f"{mark}{end.join(text)}{draw(st.sampled_from([end, end, '']))}".encode()


def both(contract: Contract, body: bytes) -> tuple[ParsedRows | None, ParsedRows | None]:
    """What pyarrow gives, and what the other reader gives; None where they do not read it."""
    clean = read_clean_csv(contract, body, others=["other"])
    try:
        return clean, read_csv(contract, body, others=["other"])
    except InputError:
        return clean, None


def assert_equal(clean: ParsedRows, other: ParsedRows | None) -> None:
    """Bit by bit, row numbers and types too; a column by its distinct values is the same column, and has none twice."""
    for name, encoded in clean.table.encoded.items():
        assert encoded.values[encoded.indices].tolist() == clean.table.columns[name].tolist()
        assert len(set(encoded.values)) == len(encoded.values)
    assert other is not None
    assert (clean.faults, clean.rows) == (other.faults, other.rows)
    assert clean.table.row_numbers.tolist() == other.table.row_numbers.tolist()
    assert clean.table.row_numbers.dtype == other.table.row_numbers.dtype
    assert list(clean.table.columns) == list(other.table.columns)
    for name, values in other.table.columns.items():
        own = clean.table.columns[name]
        assert own.dtype == values.dtype
        if values.dtype == np.float64:
            np.testing.assert_array_equal(own, values)
            assert np.signbit(own[own == 0]).tolist() == np.signbit(values[values == 0]).tolist()
        else:
            assert own.tolist() == values.tolist()


@settings(max_examples=200)
@given(files(odd=30) | files(odd=4))
@example(lines(",".join(GOOD.values()), "", ",".join(GOOD.values())))
def test_what_is_read_at_all_is_read_alike(body: bytes) -> None:
    """Mostly clean files with odd cells, lines and quotes in them."""
    clean, other = both(CONTRACT, body)
    if clean is not None:
        assert_equal(clean, other)


@pytest.mark.parametrize("column", INPUTS)
def test_each_odd_cell_is_read_alike(column: str) -> None:
    """Behind a clean first row, and as the first row itself."""
    odd = [*NUMBERS, *TIMES, *RAW]
    for cell in odd:
        rows = [",".join((GOOD | {column: each}).values()) for each in (GOOD[column], cell, cell)]
        for body in (lines(*rows), lines(*rows[1:]), lines(*rows[1:], rows[0])):
            clean, other = both(CONTRACT, body)
            if clean is not None:
                assert_equal(clean, other)


@settings(max_examples=200)
@given(st.text("0123456789-:TZ +.", max_size=30) | st.sampled_from(TIMES), st.sampled_from(["", "Z", "+01:00"]))
def test_a_time_is_read_alike_or_left(text: str, zone: str) -> None:
    """Each text that looks like one, beside times of its own kind."""
    rows = [",".join((GOOD | {"time": each}).values()) for each in (f"2026-01-01T10:00:00{zone}", text)]
    clean, other = both(CONTRACT, lines(*rows))
    if clean is not None:
        assert_equal(clean, other)


@settings(max_examples=200)
@given(st.text("0123456789-+eE. ", max_size=40) | st.floats().map(repr) | st.decimals().map(str))
def test_a_number_is_read_alike_or_left(text: str) -> None:
    """Each text that looks like one."""
    clean, other = both(CONTRACT, lines(",".join((GOOD | {"age": text}).values())))
    if clean is not None:
        assert_equal(clean, other)


@given(st.data(), st.permutations([*INPUTS, "fraud"]), st.sampled_from(["\n", "\r\n"]), st.sampled_from([0, 1]))
def test_clean_files_are_read(data: st.DataObject, names: list[str], end: str, quoting: int) -> None:
    """Not all are left: those that programs write are clean."""
    columns = {name: cells_of(name, 0) if name in INPUTS else st.just("1") for name in names}
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=(csv.QUOTE_MINIMAL, csv.QUOTE_ALL)[quoting])
    writer.writerows([names, *([data.draw(columns[name]) for name in names] for _ in range(5))])
    clean, other = both(CONTRACT, text.getvalue().encode())
    assert clean is not None
    assert_equal(clean, other)


@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(SPELLINGS) for name in MATCHES}), min_size=1, max_size=6))
def test_each_spelling_is_read_alike(spelled: list[dict[str, str]]) -> None:
    """Spellings of one value are one distinct value or none of them are told apart."""
    clean, other = both(MATCHING, lines(*(",".join((GOOD | texts).values()) for texts in spelled)))
    assert clean is not None
    assert_equal(clean, other)


@pytest.mark.parametrize("columns", [1, 2])
def test_all_short_files_of_few_columns_are_read_alike(columns: int) -> None:
    """With one column a blank line is no row, and a quoted nothing is one."""
    contract = Contract("few", (NUMBER, Column("i", Kind.ID, Missing.ALLOW))[:columns], (FEATURE,))
    for rows in itertools.product(LINES, LINES):
        body = "\n".join([",".join(contract.input_names), *rows, ""]).encode()
        clean, other = both(contract, body)
        if clean is not None:
            assert_equal(clean, other)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_files_of_any_contract_are_read_alike(contract: Contract) -> None:
    """Other columns and formats of time; a bad cell of any column is left to the other reader."""
    good = good_row(contract)
    clean, other = both(contract, as_csv(contract, [good, good]).encode())
    assert clean is not None
    assert_equal(clean, other)
    for column in contract.inputs:
        for bad in bad_texts(column):
            assert both(contract, as_csv(contract, [good, good | {column.name: bad}]).encode())[0] is None


WORDS = st.sampled_from(["NULL", " null", "N/A", "n/a ", "-1", "-1.0", "-1e0", "", "NaN"])
WITH_WORDS = Contract(
    CONTRACT.name,
    tuple(
        replace(column, missing=Missing.ALLOW, missing_words=("NULL", "n/a", "-1"))
        if column.kind is not Kind.LABEL
        else column
        for column in CONTRACT.columns
    ),
    CONTRACT.features,
)
SENTINEL = Contract("sentinel", (replace(NUMBER, minimum=0.0, missing_words=("-1", "999")),), (FEATURE,))


@settings(max_examples=200)
@given(st.data())
def test_words_that_mean_missing_are_read_alike(data: st.DataObject) -> None:
    """In columns of each kind, beside clean cells; and a word is no reason to leave a file."""
    cells = {name: cells_of(name, 0) | WORDS for name in INPUTS} | {"time": cells_of("time", 0) | WORDS}
    rows = [",".join(data.draw(cells[name]) for name in INPUTS) for _ in range(data.draw(st.integers(1, 5)))]
    clean, other = both(WITH_WORDS, lines(*rows))
    assert other is not None
    assert (clean is None) == bool(other.faults)
    if clean is not None:
        assert_equal(clean, other)


@given(st.lists(st.sampled_from(["-1", "-1.00", "999", "9.99e2", "5", "", "-2"]), min_size=1, max_size=5))
def test_numbers_that_mean_missing_are_read_alike(numbers: list[str]) -> None:
    """By pyarrow's numbers, before bounds are checked."""
    body = "\n".join(["n", *(f'"{number}"' for number in numbers), ""]).encode()
    clean, other = both(SENTINEL, body)
    assert other is not None
    assert (clean is None) == ("-2" in numbers)
    if clean is not None:
        assert_equal(clean, other)


BERLIN = Column("t", Kind.TIMESTAMP, Missing.ALLOW, zone="Europe/Berlin")
PARTED = Column("t", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.YEAR_FIRST, parts=("y", "m", "d", "at"))
HOURS = Column("t", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.HOURS)
MOMENTS = {
    BERLIN: ["2026-01-31T18:05:00", "2026-07-31 18:05:00", "2026-10-25T02:30:00", "2026-07-31T18:05:00Z", "", "x"],
    PARTED: [
        "2026,1,31,18:05",
        "2026,Jan,31,1805",
        "2026,1,,18:05",
        "2026,1.0,31,9",
        "2026,1,31,905",
        ",,,",
        "a,b,c,d",
    ],
    HOURS: ["0", "743", "1.5", "-3", "", "1e80", "x"],
}


@pytest.mark.parametrize("column", MOMENTS, ids=["zone", "parts", "hours"])
@given(data=st.data())
def test_times_of_a_zone_in_parts_and_in_steps_are_read_alike(column: Column, data: st.DataObject) -> None:
    """What is at fault is left to the other reader, and nothing else is."""
    contract = Contract("times", (column, NUMBER), (FEATURE,))
    times = data.draw(st.lists(st.sampled_from(MOMENTS[column]), min_size=1, max_size=4))
    clean, other = both(
        contract, "\n".join([",".join(contract.input_names), *(f"{each},1" for each in times), ""]).encode()
    )
    assert other is not None
    assert clean is None or not other.faults
    if clean is not None:
        assert_equal(clean, other)
    assert clean is not None or other.faults or len({"Z" in each for each in times}) > 1


@pytest.mark.parametrize("zone", ["", "Z", "+01:00", ".5", ".123456Z", " UTC"])
def test_times_with_an_offset_are_read(zone: str) -> None:
    """As the first row has it; what has a zone's name is left."""
    row = ",".join((GOOD | {"time": f"2026-07-01T10:00:00{zone}"}).values())
    clean, other = both(CONTRACT, lines(row, row))
    assert (clean is None) == (zone == " UTC")
    if clean is not None:
        assert_equal(clean, other)


def test_a_small_file_is_left() -> None:
    """Which the other reader reads sooner."""
    body = lines(",".join(GOOD.values()))
    assert read_clean_csv(CONTRACT, body) is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_reader, "MIN_BYTES", len(body) + 1)
        assert read_clean_csv(CONTRACT, body) is None


def test_categories_and_entities_come_by_their_distinct_values() -> None:
    """Unless two of them are one without the blanks around: then what stands for a value would be two."""
    kinds = {Kind.CATEGORY, Kind.ENTITY}
    names = [column.name for column in CONTRACT.inputs if column.kind in kinds]
    body = lines(",".join(GOOD.values()), ",".join(GOOD.values()))
    read = read_clean_csv(CONTRACT, body)
    assert read is not None
    assert list(read.table.encoded) == names
    spaced = lines(",".join(GOOD.values()), ",".join((GOOD | {names[0]: f"{GOOD[names[0]]} "}).values()))
    read = read_clean_csv(CONTRACT, spaced)
    assert read is not None
    assert list(read.table.encoded) == names[1:]

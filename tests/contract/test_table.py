import csv
import io
import json
import math
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import table
from contract.dialect import csv_records
from contract.faults import Fault, FaultCode, InputError, NotTextError
from contract.schema import Column, Contract, Feature, FeatureKind, Kind, Missing, TimeFormat
from contract.table import ParsedRows, Table, read_csv, read_json
from tests.contract.examples import AS_JSON, CONTRACT, GOOD, INPUTS, JSON_VALUES, assert_same, csv_bytes, lines

MARKER = "4111-SECRET"
HEADER = ",".join(INPUTS)
WEIGHTED = replace(CONTRACT, columns=(*CONTRACT.columns, Column("w", Kind.WEIGHT)))
DIALECTS = [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r"), (csv.QUOTE_ALL, "\r\n")]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXT.filter(str.strip),
            "time": st.datetimes().map(datetime.isoformat),
            "amount": st.floats(0, 10_000).map(repr),
            "age": st.just("") | st.floats(-1e38, 1e38).map(repr),
            "since": st.just("") | st.integers(-(10**12), 10**12).map(str),
            "channel": TEXT,
            "card": TEXT,
        }
    )
)
CELLS = st.fixed_dictionaries({name: st.just(GOOD[name]) | st.sampled_from(["", "x", "1", "inf"]) for name in INPUTS})
ONE = Contract("one", (Column("n", Kind.NUMBER),), (Feature("n", FeatureKind.NUMBER, "n"),))


def good_line(name: str = "t-1") -> str:
    """A row without a fault, with this id."""
    return ",".join((GOOD | {"id": name}).values())


def assert_partitioned(reading: ParsedRows) -> None:
    """Every row is either in the table or has a fault, in the order of the input."""
    numbers, faulty = reading.table.row_numbers.tolist(), [fault.row or 0 for fault in reading.faults]
    assert sorted([*numbers, *set(faulty)]) == list(range(1, reading.rows + 1))
    assert numbers == sorted(numbers)
    assert faulty == sorted(faulty)
    assert {len(values) for values in reading.table.columns.values()} == {reading.table.rows}


@given(ROWS, st.permutations(INPUTS), st.sampled_from(DIALECTS))
def test_what_was_written_is_read(rows: list[dict[str, str]], names: list[str], dialect: tuple[int, str]) -> None:
    """A file gives back the values written to it, whatever the order of columns, the quoting and the line ends."""
    quoting, line_end = dialect
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(rows)
    reading = read_csv(CONTRACT, text.getvalue().encode())
    assert reading.faults == ()
    for name in ("id", "channel", "card"):
        assert reading.table.columns[name].tolist() == [row[name].strip() for row in rows]
    for name in ("amount", "age", "since"):
        expected = [float(row[name] or "nan") for row in rows]
        np.testing.assert_array_equal(reading.table.columns[name], np.array(expected, dtype=np.float64))
    times = [datetime.fromisoformat(row["time"] + "+00:00").timestamp() for row in rows]
    assert reading.table.columns["time"].tolist() == times


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Bytes of any kind give a reading or InputError, never another exception."""
    with suppress(InputError):
        assert_partitioned(read_csv(CONTRACT, body))


@given(st.binary() | st.text('",\n\r1aé\t ').map(str.encode))
def test_any_bytes_below_a_good_header_are_read_or_refused(body: bytes) -> None:
    """Below a good header, too, any bytes give rows and faults or InputError."""
    for contract, header in [(CONTRACT, HEADER), (ONE, "n")]:
        with suppress(InputError):
            assert_partitioned(read_csv(contract, f"{header}\n".encode() + body))


@given(st.lists(CELLS, max_size=8))
def test_good_rows_and_rows_with_faults_are_all_rows(rows: list[dict[str, str]]) -> None:
    """No row is lost and none is counted twice."""
    reading = read_csv(CONTRACT, csv_bytes(rows))
    assert reading.rows == len(rows)
    assert_partitioned(reading)


@given(st.lists(CELLS, max_size=8))
def test_bad_rows_do_not_touch_the_good(rows: list[dict[str, str]]) -> None:
    """The good rows of a file read as they do in a file without the bad ones."""
    mixed = read_csv(CONTRACT, csv_bytes(rows))
    alone = read_csv(CONTRACT, csv_bytes([rows[number - 1] for number in mixed.table.row_numbers.tolist()]))
    assert alone.faults == ()
    assert_same(mixed.table, alone.table)


@given(st.lists(CELLS, max_size=8), st.permutations(INPUTS))
def test_the_order_of_columns_does_not_matter(rows: list[dict[str, str]], names: list[str]) -> None:
    """A file with its columns in another order has the same rows and the same faults."""
    usual, other = read_csv(CONTRACT, csv_bytes(rows)), read_csv(CONTRACT, csv_bytes(rows, names))
    assert_same(usual.table, other.table)
    assert usual.faults == other.faults


@given(st.lists(CELLS, min_size=1, max_size=12), st.integers(1, 5))
def test_blocks_cannot_be_seen(rows: list[dict[str, str]], block_rows: int) -> None:
    """Rows, numbers and faults are the same however many rows are converted at a time, from CSV and from JSON."""
    body = csv_bytes(rows) + b"too,few\n"
    whole, whole_json = read_csv(CONTRACT, body), read_json(CONTRACT, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BLOCK_ROWS", block_rows)
        parts, parts_json = read_csv(CONTRACT, body), read_json(CONTRACT, rows)
    for left, right in [(whole, parts), (whole_json, parts_json)]:
        assert_same(left.table, right.table)
        assert left.table.row_numbers.tolist() == right.table.row_numbers.tolist()
        assert (left.faults, left.rows) == (right.faults, right.rows)


def test_rows_are_numbered_through_a_long_file() -> None:
    """In a file of many blocks each bad row is named by its number, and blank lines are not counted."""
    names = [good_line(f"t-{number}") for number in range(1, 10_001)]
    names[4_999], names[9_999] = "too,few", names[9_999].replace("12.5", "-1")
    names.insert(100, "")
    reading = read_csv(CONTRACT, lines(*names))
    assert reading.faults == (
        Fault(5_000, None, FaultCode.FIELD_COUNT),
        Fault(10_000, "amount", FaultCode.OUT_OF_BOUNDS),
    )
    ids = [f"t-{number}" for number in reading.table.row_numbers.tolist()]
    assert reading.table.columns["id"].tolist() == ids
    assert reading.rows == 10_000


def test_every_fault_of_a_row_is_named() -> None:
    """A row with several bad cells has a fault for each, by column."""
    reading = read_csv(CONTRACT, lines("t-1,yesterday,-1,x,inf,chip,c-1"))
    assert reading.faults == (
        Fault(1, "time", FaultCode.NOT_A_DATE),
        Fault(1, "amount", FaultCode.OUT_OF_BOUNDS),
        Fault(1, "age", FaultCode.NOT_A_NUMBER),
        Fault(1, "since", FaultCode.NOT_FINITE),
    )


@pytest.mark.parametrize("cell", ["", "0", "whatever", "é" * 1000])
def test_the_label_is_ignored(cell: str) -> None:
    """A label column may be there or not; scoring ignores what it holds."""
    with_label = read_csv(CONTRACT, f"{HEADER},fraud\n{good_line()},{cell}\n".encode())
    assert with_label.faults == ()
    assert_same(with_label.table, read_csv(CONTRACT, lines(good_line())).table)


@pytest.mark.parametrize("cell", ["", "-1", "whatever"])
def test_the_weight_is_ignored(cell: str) -> None:
    """Nobody who uploads needs a weight, and what one holds changes nothing."""
    plain = read_csv(CONTRACT, lines(good_line()))
    assert_same(read_csv(WEIGHTED, f"{HEADER},w\n{good_line()},{cell}\n".encode()).table, plain.table)
    assert_same(read_csv(WEIGHTED, lines(good_line())).table, plain.table)


def test_the_weight_is_read_with_the_label() -> None:
    """Training gets it as a number; what is no number is a fault."""
    body = f"{HEADER},fraud,w\n{good_line()},1,10.5\n{good_line()},1,inf\n".encode()
    reading = read_csv(WEIGHTED, body, with_label=True)
    assert reading.table.columns["w"].tolist() == [10.5]
    assert reading.faults == (Fault(2, "w", FaultCode.NOT_FINITE),)
    nothing = read_csv(WEIGHTED, f"{HEADER},fraud,w\n".encode(), with_label=True)
    assert nothing.table.columns["w"].dtype == np.float64


def test_the_label_is_read_where_it_is_asked_for() -> None:
    """Training asks for the label and gets its text."""
    reading = read_csv(CONTRACT, f"{HEADER},fraud\n{good_line()},1\n".encode(), with_label=True)
    assert reading.table.columns["fraud"].tolist() == ["1"]


def test_a_label_that_is_asked_for_must_be_there() -> None:
    """Training refuses a file without the label."""
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, lines(good_line()), with_label=True)
    assert caught.value.faults == [Fault(None, "fraud", FaultCode.MISSING_COLUMN)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(end: str, mark: str, last: str) -> None:
    """Any line end, blank lines, a byte order mark and a last line without an end are fine."""
    body = mark + end.join([HEADER, good_line(), good_line("t-2")]) + (end if last else "")
    reading = read_csv(CONTRACT, body.encode())
    assert reading.table.columns["id"].tolist() == ["t-1", "t-2"]


def test_spaces_around_names_do_not_matter() -> None:
    """A header's names may have spaces around them."""
    assert read_csv(ONE, b" n \n1\n").table.columns["n"].tolist() == [1.0]


def test_a_quoted_line_break_is_part_of_its_cell() -> None:
    """A line break inside quotes does not end the row."""
    reading = read_csv(CONTRACT, csv_bytes([GOOD | {"card": "a\r\nb"}, GOOD]))
    assert reading.table.columns["card"].tolist() == ["a\r\nb", "c-1"]


def test_an_empty_cell_of_a_narrow_file_is_a_row() -> None:
    """In a file of one column a quoted empty cell is a row, a blank line none."""
    assert read_csv(ONE, b'n\n1\n\n""\n').faults == (Fault(2, "n", FaultCode.MISSING),)


def test_a_header_alone_has_no_rows() -> None:
    """A header without rows is a reading of nothing, with every column of its type."""
    reading = read_csv(CONTRACT, lines())
    assert (reading.rows, reading.table.rows, reading.faults) == (0, 0, ())
    assert reading.table.columns["amount"].dtype == np.float64
    assert reading.table.columns["card"].dtype == object


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_refused(body: bytes) -> None:
    """A file without a header is refused as empty."""
    with pytest.raises(InputError, match="empty"):
        read_csv(CONTRACT, body)


@pytest.mark.parametrize(
    "body",
    [
        lines("t-1,\0"),
        b"\0" * 100,
        lines(good_line()).decode().encode("utf-16-le"),
        lines("caf\u00e9").decode().encode("latin-1"),
        b"PK\x03\x04\xff\xfe",
        HEADER.encode() + b"\n\xed\xa0\x80\n",
    ],
)
def test_bytes_that_are_no_text_are_not_text(body: bytes) -> None:
    """NUL, another encoding, a binary file and encoded surrogates are no text."""
    with pytest.raises(NotTextError):
        read_csv(CONTRACT, body)


@pytest.mark.parametrize("row", ['"unterminated', '"a"b,1', "x" * 131_073, '"' + "x" * 131_073 + '"'])
def test_broken_quotes_and_endless_cells_are_refused(row: str) -> None:
    """An unterminated quote, text after a quote and a cell beyond the csv module's limit are no CSV."""
    with pytest.raises(InputError, match="well-formed"):
        read_csv(CONTRACT, lines(good_line(), row))


def test_a_quote_inside_a_cell_is_its_text() -> None:
    """A quote that does not begin its cell is a character like any other."""
    reading = read_csv(CONTRACT, lines(good_line('5" disc')))
    assert reading.table.columns["id"].tolist() == ['5" disc']


@pytest.mark.parametrize(
    ("header", "faults"),
    [
        (HEADER.replace("age,", ""), [Fault(None, "age", FaultCode.MISSING_COLUMN)]),
        (f"{HEADER},{MARKER}", [Fault(None, "#8", FaultCode.UNKNOWN_COLUMN)]),
        (f"{HEADER},age", [Fault(None, "age", FaultCode.DUPLICATE_COLUMN)]),
        (f"{HEADER},fraud,fraud", [Fault(None, "fraud", FaultCode.DUPLICATE_COLUMN)]),
        (
            HEADER.replace("age", "aged"),
            [Fault(None, "age", FaultCode.MISSING_COLUMN), Fault(None, "#4", FaultCode.UNKNOWN_COLUMN)],
        ),
        (
            HEADER.replace(",", ":"),
            [*(Fault(None, n, FaultCode.MISSING_COLUMN) for n in INPUTS), Fault(None, "#1", FaultCode.UNKNOWN_COLUMN)],
        ),
    ],
)
def test_a_header_that_does_not_fit_is_refused(header: str, faults: list[Fault]) -> None:
    """Missing, unknown and duplicate columns are named, an unknown one by its position."""
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, f"{header}\n{good_line()}\n".encode())
    assert caught.value.faults == faults


@pytest.mark.timeout(10)
@pytest.mark.parametrize("names", [["n"] * 20_000, [f"n{place}" for place in range(20_000)], [""] * 1_000_000])
def test_too_many_columns_are_refused_at_once(names: list[str]) -> None:
    """A header of thousands of names is one fault, found without looking at each."""
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, ",".join(names).encode())
    assert caught.value.faults == [Fault(None, None, FaultCode.TOO_MANY_COLUMNS)]


@pytest.mark.parametrize("row", [f"{good_line()},1", good_line().rpartition(",")[0], "x"])
def test_a_wrong_number_of_fields_is_a_fault_of_the_row(row: str) -> None:
    """Where every row has a field too many or too few, every row has that one fault and the table is empty."""
    reading = read_csv(CONTRACT, lines(row, row, row))
    assert reading.faults == tuple(Fault(number, None, FaultCode.FIELD_COUNT) for number in (1, 2, 3))
    assert reading.table.rows == 0


def test_a_row_of_spaces_is_not_blank() -> None:
    """A line of spaces is a row with too few fields."""
    assert read_csv(CONTRACT, lines("   ")).faults == (Fault(1, None, FaultCode.FIELD_COUNT),)


SECRET_BODIES = [
    csv_bytes([GOOD | {name: MARKER} for name in INPUTS] + [dict.fromkeys(INPUTS, MARKER * 100)]),
    lines(",".join([MARKER] * 20), MARKER),
    f"{HEADER},{MARKER}\n".encode(),
    f"{MARKER}\n".encode(),
    lines(f'"{MARKER}'),
    lines(f'"{MARKER}"{MARKER},'),
    lines(MARKER).decode().encode("utf-16"),
    lines(MARKER) + b"\xff",
    lines(MARKER) + b"\0",
    lines(MARKER * 20_000),
    csv_bytes([GOOD | {"time": f"2024-01-01T{MARKER}", "amount": f"1{MARKER}", "age": f"1e{MARKER}"}]),
]


@pytest.mark.parametrize("body", SECRET_BODIES)
def test_no_cell_of_a_file_is_repeated(body: bytes) -> None:
    """Neither a fault nor an error's message and traceback holds the text of a cell or of an unknown name."""
    try:
        message = repr(read_csv(CONTRACT, body).faults)
    except InputError as refused:
        message = "".join(traceback.format_exception(refused)) + repr(refused.faults)
    assert message
    assert MARKER not in message


def test_no_json_value_is_repeated() -> None:
    """No fault of a JSON object holds a value or an unknown key."""
    objects = [dict.fromkeys(INPUTS, MARKER), {MARKER: MARKER}, MARKER, [MARKER], AS_JSON | {"id": MARKER * 100}]
    reading = read_json(CONTRACT, objects)
    assert len({fault.row for fault in reading.faults}) == 5
    assert MARKER not in repr(reading.faults)


@given(st.lists(JSON_VALUES | st.dictionaries(st.sampled_from(INPUTS), JSON_VALUES)))
def test_any_json_is_read(objects: list[object]) -> None:
    """Whatever JSON values stand for transactions, each is read or has a fault."""
    reading = read_json(CONTRACT, objects)
    assert reading.rows == len(objects)
    assert_partitioned(reading)


@given(ROWS)
def test_json_and_csv_give_the_same_rows(rows: list[dict[str, str]]) -> None:
    """A transaction has the same values from a CSV row and from a JSON object, its keys in any order."""
    numeric = ("amount", "age", "since")
    objects = [
        {
            name: (json.loads(cell) if cell else None) if name in numeric else cell
            for name, cell in reversed(row.items())
        }
        for row in rows
    ]
    from_objects = read_json(CONTRACT, objects)
    assert from_objects.faults == ()
    assert_same(from_objects.table, read_csv(CONTRACT, csv_bytes(rows)).table)


def test_an_absent_key_is_a_missing_cell() -> None:
    """A key that is not there reads like null: a fault or no value, as the column says."""
    reading = read_json(CONTRACT, [{**AS_JSON, "age": None}, {k: v for k, v in AS_JSON.items() if k != "age"}, {}])
    assert [math.isnan(age) for age in reading.table.columns["age"]] == [True, True]
    assert reading.faults == tuple(Fault(3, name, FaultCode.MISSING) for name in ("id", "time", "amount"))


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_what_is_no_object_is_a_fault_of_its_row(value: object) -> None:
    """A transaction that is no JSON object is named by its number."""
    reading = read_json(CONTRACT, [AS_JSON, value])
    assert reading.faults == (Fault(2, None, FaultCode.NOT_AN_OBJECT),)
    assert reading.table.row_numbers.tolist() == [1]


def test_an_unknown_key_is_a_fault_by_its_place() -> None:
    """A key that the contract does not know is named by its position; the label is known and not looked at."""
    reading = read_json(CONTRACT, [AS_JSON | {"fraud": [], "more": 1}])
    assert reading.faults == (Fault(1, "#9", FaultCode.UNKNOWN_COLUMN),)


def test_an_object_with_too_many_keys_has_one_fault() -> None:
    """An object of thousands of unknown keys has one fault, not thousands."""
    reading = read_json(CONTRACT, [{str(key): key for key in range(20_000)}])
    assert reading.faults == (Fault(1, None, FaultCode.TOO_MANY_COLUMNS),)


def test_no_objects_are_no_rows() -> None:
    """An empty list is a reading of nothing."""
    assert read_json(CONTRACT, []).rows == 0


@pytest.mark.parametrize(
    "read", [lambda: read_csv(CONTRACT, lines(*["x"] * 20)), lambda: read_json(CONTRACT, [{}] * 20)]
)
def test_an_input_of_nothing_but_faults_is_refused(
    read: Callable[[], ParsedRows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the most faults that are kept, the input is refused with those found so far."""
    monkeypatch.setattr(table, "MAX_FAULTS", 10)
    monkeypatch.setattr(table, "BLOCK_ROWS", 4)
    with pytest.raises(InputError, match="More than 10 cells") as caught:
        read()
    assert 10 < len(caught.value.faults) < 30


@pytest.mark.timeout(30)
@pytest.mark.parametrize("body", [lines("x\n" * 1_000_000), lines(",,,,,,\n" * 300_000)], ids=["short", "empty"])
def test_a_file_of_nothing_but_faults_is_refused_early(body: bytes) -> None:
    """A file that would have a fault every other byte is refused before its faults fill the memory."""
    with pytest.raises(InputError, match="More than 10,000") as caught:
        read_csv(CONTRACT, body)
    assert len(caught.value.faults) < 20_000


@pytest.mark.parametrize("positions", [[2, 0], [False, True, True], []])
def test_take_picks_rows_with_their_numbers(positions: Sequence[int | bool]) -> None:
    """A table's rows are taken by position or by mask, in that order, numbers and all."""
    whole = read_csv(CONTRACT, lines(*[good_line(f"t-{row}") for row in (1, 2, 3)])).table
    index = np.array(positions, dtype=bool if True in positions else int)
    taken = whole.take(index)
    assert taken.row_numbers.tolist() == whole.row_numbers[index].tolist()
    assert taken.columns["id"].tolist() == [f"t-{row}" for row in taken.row_numbers.tolist()]


def test_records_leave_blank_lines_out() -> None:
    """The records of a file are its header and rows, without blank lines."""
    assert list(csv_records(b"a,b\n\n1,2\n\n")) == [["a", "b"], ["1", "2"]]


def test_records_of_no_text_are_refused_at_once() -> None:
    """Bytes that are no text are refused by the call itself, not while iterating."""
    with pytest.raises(NotTextError):
        csv_records(b"\xff")


@pytest.mark.parametrize("cell", ["", "x", "é" * 1000])
def test_other_names_are_ignored(cell: str) -> None:
    """A column that another contract knows is no fault, whatever it holds, and is not in the table."""
    other = read_csv(CONTRACT, f"{HEADER},more\n{good_line()},{cell}\n".encode(), others={"more", "age"})
    assert other.faults == ()
    assert_same(other.table, read_csv(CONTRACT, lines(good_line())).table)
    reading = read_json(CONTRACT, [AS_JSON | {"more": cell}], others={"more", "age"})
    assert reading.faults == ()
    assert_same(reading.table, read_json(CONTRACT, [AS_JSON]).table)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (f"{HEADER},more,{MARKER}", Fault(None, "#9", FaultCode.UNKNOWN_COLUMN)),
        (f"{HEADER},more,more", Fault(None, "more", FaultCode.DUPLICATE_COLUMN)),
        (HEADER.replace("age", "more"), Fault(None, "age", FaultCode.MISSING_COLUMN)),
    ],
)
def test_other_names_excuse_nothing_else(header: str, fault: Fault) -> None:
    """Unknown names, a name that is there twice and a missing column are faults as ever."""
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, f"{header}\n{good_line()}\n".encode(), others={"more"})
    assert caught.value.faults == [fault]


def test_other_keys_excuse_no_unknown_one() -> None:
    """A JSON key that neither contract knows is a fault by its position."""
    reading = read_json(CONTRACT, [AS_JSON | {"more": 1, MARKER: 1}], others={"more"})
    assert reading.faults == (Fault(1, "#9", FaultCode.UNKNOWN_COLUMN),)


def test_an_extended_table_has_the_same_rows_and_more_columns() -> None:
    """The rows keep their numbers and values; the table that was extended stays as it is."""
    before = read_csv(CONTRACT, csv_bytes([GOOD, GOOD | {"amount": "x"}, GOOD])).table
    after = before.extended({"history": np.array([1.0, np.nan])})
    assert after.row_numbers.tolist() == before.row_numbers.tolist() == [1, 3]
    assert set(after.columns) - set(before.columns) == {"history"}
    assert_same(Table({name: after.columns[name] for name in before.columns}, after.row_numbers), before)


def test_take_returns_all_columns_of_an_extended_table() -> None:
    """Rows that are taken keep their own values of the new columns."""
    table = read_csv(CONTRACT, csv_bytes([GOOD] * 3)).table.extended({"history": np.array([1.0, 2.0, 3.0])})
    assert table.take(np.array([2, 0])).columns["history"].tolist() == [3.0, 1.0]


TIMED = Contract(
    "timed",
    (
        Column("day", Kind.TIMESTAMP, Missing.ALLOW, time_format=TimeFormat.DAY_FIRST, clock="at"),
        Column("amount", Kind.NUMBER),
    ),
    (Feature("amount", FeatureKind.NUMBER, "amount"),),
)


def test_a_day_and_its_clock_are_one_time() -> None:
    """In CSV in any order of columns, and in JSON; half of it is a missing time, and what is none is at fault."""
    csv_rows = read_csv(TIMED, b"at,amount,day\n18:05,1,31/01/2026\n,1,31/01/2026\n18:05,1,\n99:05,1,31/01/2026\n")
    objects = [
        {"day": "31/01/2026", "at": "18:05", "amount": 1},
        {"day": "31/01/2026", "amount": 1},
        {"at": "18:05", "day": None, "amount": 1},
        {"day": "31/01/2026", "at": 1805, "amount": 1},
    ]
    for reading in (csv_rows, read_json(TIMED, objects)):
        assert reading.table.columns["day"].tolist() == pytest.approx([1769882700.0, math.nan, math.nan], nan_ok=True)
        assert reading.table.columns.keys() == {"day", "amount"}
        assert reading.faults == (Fault(4, "day", FaultCode.NOT_A_DATE),)


def test_a_clock_is_a_column_of_its_own() -> None:
    """A file without it lacks a column, and nobody calls it unknown."""
    with pytest.raises(InputError) as caught:
        read_csv(TIMED, b"day,amount\n31/01/2026,1\n")
    assert caught.value.faults == [Fault(None, "at", FaultCode.MISSING_COLUMN)]


PARTS = Column(
    "when",
    Kind.TIMESTAMP,
    Missing.ALLOW,
    time_format=TimeFormat.YEAR_FIRST,
    zone="Asia/Kolkata",
    parts=("Year", "Month", "Day", "Time"),
    missing_words=("N/A", "-1"),
)
PARTED = Contract("parted", (PARTS, TIMED.columns[1]), TIMED.features)


def test_the_parts_of_a_time_are_one_time() -> None:
    """In CSV in any order of columns, and in JSON as numbers or text, by the clocks of the zone.

    Without one of them, or with a word for it that means missing, the time is missing; what is none is at fault.
    """
    body = b"Time,amount,Day,Month,Year\n18:05,1,31,1,2026\n,1,31,1,2026\n18:05,1,31,N/A,2026\n18:05,1,32,1,2026\n"
    day = {"Year": 2026, "Month": "1", "Day": 31, "amount": 1}
    objects = [{**day, "Time": 1805}, day, {**day, "Time": "18:05", "Month": -1}, {**day, "Time": [18, 5]}]
    for reading in (read_csv(PARTED, body), read_json(PARTED, objects)):
        known = [1769882700.0 - 19_800, math.nan, math.nan]
        assert reading.table.columns["when"].tolist() == pytest.approx(known, nan_ok=True)
        assert reading.table.columns.keys() == {"when", "amount"}
        assert reading.faults == (Fault(4, "when", FaultCode.NOT_A_DATE),)


def test_a_file_without_a_part_lacks_a_column() -> None:
    """And one that has the time's own name has a column that nobody knows."""
    with pytest.raises(InputError) as caught:
        read_csv(PARTED, b"when,Year,Month,Time,amount\n1,2026,1,18:05,1\n")
    codes = {fault.column: fault.code for fault in caught.value.faults}
    assert codes == {"Day": FaultCode.MISSING_COLUMN, "#1": FaultCode.UNKNOWN_COLUMN}

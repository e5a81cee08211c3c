"""One table in any dialect is read to the same cells, or refused with the setting that decides."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.faults import FaultCode, InputError
from contract.file_check import check_file
from contract.schema import Contract, Decimal, Others, Reading
from contract.table import ParsedRows, read_csv, read_json
from tests.contract.examples import AS_JSON, CONTRACT, GOOD, INPUTS

REFUSALS = {FaultCode.AMBIGUOUS_NUMBER, FaultCode.MIXED_CURRENCIES}
NUMBERS = st.lists(st.integers(0, 999_999).map(lambda mills: mills / 1000), min_size=1, max_size=6)
PREAMBLE = ("Export of 2026-05-02", "", "# comment; with, separators\tof all | kinds")


@dataclass(frozen=True)
class Written:
    """How a table is written."""

    separator: str
    decimal: str
    group: str
    places: int
    encoding: str
    line_end: str
    preamble: tuple[str, ...]
    index: bool
    empty_end: bool
    title_case: bool
    quote_all: bool
    currency: str
    declares_separator: bool

    def number(self, value: float) -> str:
        """A number in this locale."""
        text = f"{value:,.{self.places}f}".replace(",", "\0").replace(".", self.decimal).replace("\0", self.group)
        return f"{self.currency}{text}"

    def file(self, names: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
        """A table of these cells, numbers among them as :meth:`number` writes them."""
        text = io.StringIO(newline="")
        text.write("".join(f"{line}{self.line_end}" for line in self.preamble))
        if self.declares_separator and not self.preamble:
            text.write(f"sep={self.separator}{self.line_end}")
        quoting: Literal[0, 1] = csv.QUOTE_ALL if self.quote_all else csv.QUOTE_MINIMAL
        writer = csv.writer(text, delimiter=self.separator, lineterminator=self.line_end, quoting=quoting)
        writer.writerow(self._line("", [name.title() if self.title_case else name for name in names]))
        for number, cells in enumerate(rows):
            writer.writerow(self._line(str(number), cells))
        return text.getvalue().encode(self.encoding)

    def _line(self, index: str, cells: Sequence[str]) -> list[str]:
        return [*([index] if self.index else []), *cells, *([""] if self.empty_end else [])]


WRITTEN = st.builds(
    Written,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    group=st.sampled_from(["", " ", "\u00a0", "'", ".", ","]),
    places=st.sampled_from([0, 1, 2, 3]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    preamble=st.sampled_from([(), PREAMBLE]),
    index=st.booleans(),
    empty_end=st.booleans(),
    title_case=st.booleans(),
    quote_all=st.booleans(),
    currency=st.sampled_from(["", "$", "EUR "]),
    declares_separator=st.booleans(),
).filter(lambda each: each.group != each.decimal)


@settings(max_examples=400, deadline=None)
@given(written=WRITTEN, amounts=NUMBERS, decimal=st.sampled_from(Decimal))
def test_a_table_in_any_dialect_is_read_to_the_same_numbers(
    written: Written, amounts: list[float], decimal: Decimal
) -> None:
    """Or refused: no dialect is read to another number, where the contract does not name the other decimal sign."""
    usual = decimal if decimal.value in {written.decimal, "auto"} else Decimal.UNKNOWN
    contract = replace(CONTRACT, reading=Reading(usual, "cp1252"))
    plain_thousands = written.separator == "," and written.decimal == "," and usual is Decimal.UNKNOWN
    table = [[*(GOOD | {"amount": written.number(amount)}).values()] for amount in amounts]
    rows = read_csv(contract, written.file(INPUTS, table))
    read = dict(zip(rows.table.row_numbers.tolist(), rows.table.columns["amount"].tolist(), strict=True))
    for number, amount in enumerate(amounts, 1):
        expected = float(f"{amount:.{written.places}f}")
        if number in read and not (plain_thousands and _is_plain_float(written.number(amount))):
            assert math.isclose(read[number], expected), (written, number)
    assert {fault.code for fault in rows.faults} <= REFUSALS
    if usual is not Decimal.UNKNOWN:
        assert not rows.faults


def _is_plain_float(text: str) -> bool:
    """Whether any program takes a cell of a file with commas between its fields for a number."""
    return text.replace(".", "", 1).isdecimal()


def cells_of(rows: ParsedRows) -> dict[str, list[object]]:
    """The columns of a table as lists, NaN as None."""
    return {
        name: [None if isinstance(each, float) and np.isnan(each) else each for each in values.tolist()]
        for name, values in rows.table.columns.items()
    }


PLAIN = f"{','.join(INPUTS)}\n{','.join(GOOD.values())}\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(",", ";"),
        f"sep=;\n{PLAIN.replace(',', ';')}",
        f"Report\n\nof May\n{PLAIN}",
        PLAIN.replace("\n", ",\n"),
        PLAIN.replace("\n", ",,,\n"),
        f",{','.join(INPUTS)}\n0,{','.join(GOOD.values())}\n",
        f"Unnamed: 0,{','.join(INPUTS)}\n0,{','.join(GOOD.values())}\n",
        f"{','.join(INPUTS)}\n{','.join(GOOD.values())},\n",
        PLAIN.replace(",", "\t").replace("\n", "\r"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_programs_write_around_a_table_changes_nothing(text: str, encoding: str) -> None:
    """Separators, lines above the header, empty columns at the end, and a column that numbers the rows."""
    rows = read_csv(CONTRACT, text.encode(encoding))
    assert cells_of(rows) == cells_of(read_csv(CONTRACT, PLAIN.encode()))
    assert not rows.faults


@pytest.mark.parametrize("cell", ["x", "1.5", "-1"])
def test_a_column_without_a_name_that_holds_something_is_refused(cell: str) -> None:
    """It could be anything."""
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, f",{','.join(INPUTS)}\n{cell},{','.join(GOOD.values())}\n".encode())
    assert [(fault.column, fault.code) for fault in caught.value.faults] == [("#1", FaultCode.UNKNOWN_COLUMN)]


def test_other_columns_are_ignored_where_the_contract_or_the_caller_says_so() -> None:
    """And refused else, by their names."""
    body = f"note,{','.join(INPUTS)}\nx,{','.join(GOOD.values())}\n".encode()
    ignoring = replace(CONTRACT, reading=Reading(others=Others.IGNORE))
    assert cells_of(read_csv(ignoring, body)) == cells_of(read_csv(CONTRACT.ignoring_others, body))
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, body)
    assert "named note" in caught.value.faults[0].hint


def test_a_file_in_a_windows_encoding_is_read_where_the_contract_says_so() -> None:
    """And refused else, with the setting."""
    body = PLAIN.replace("chip", "caf\u00e9").encode("cp1252")
    contract = replace(CONTRACT, reading=Reading(encoding="cp1252"))
    assert read_csv(contract, body).table.columns["channel"].tolist() == ["caf\u00e9"]
    with pytest.raises(InputError, match="encoding"):
        read_csv(CONTRACT, body)


def test_a_plain_number_under_a_contract_of_commas_is_a_thousand() -> None:
    """The contract decides where the file does not: 1.201 was written by whoever writes 1.201,50."""
    body = PLAIN.replace("12.5", "1.201").encode()
    german = replace(CONTRACT, reading=Reading(Decimal.COMMA))
    assert read_csv(german, body).table.columns["amount"].tolist() == [1201.0]
    assert read_csv(CONTRACT, body).table.columns["amount"].tolist() == [1.201]


def test_several_currencies_in_a_column_are_refused() -> None:
    """The column is named."""
    rows = [",".join((GOOD | {"amount": amount}).values()) for amount in ("$5", "€5")]
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT, "\n".join([",".join(INPUTS), *rows]).encode())
    assert [(fault.column, fault.code) for fault in caught.value.faults] == [("amount", FaultCode.MIXED_CURRENCIES)]


def test_how_files_are_read_is_in_the_contract_only_where_it_is_not_as_usual() -> None:
    """Contracts of earlier releases keep their bytes; one that says more comes back as it was."""
    assert b"reading" not in CONTRACT.to_bytes()
    contract = replace(CONTRACT, reading=Reading(Decimal.COMMA, "cp1252", Others.IGNORE))
    assert Contract.from_bytes(contract.to_bytes()) == contract


@pytest.mark.parametrize("value", [{}, {"deep": {}}, {"deep": 1}, []])
def test_an_unknown_key_is_refused_whatever_it_holds(value: object) -> None:
    """An object without members too."""
    (fault,) = read_json(CONTRACT, [AS_JSON | {"unheard of": value}]).faults
    assert (fault.row, fault.code) == (1, FaultCode.UNKNOWN_COLUMN)


def test_objects_in_objects_are_reached_by_dotted_aliases() -> None:
    """As payment systems send them."""
    columns = tuple(
        replace(each, aliases=("charge.amount",)) if each.name == "amount" else each for each in CONTRACT.columns
    )
    contract = replace(CONTRACT, columns=columns)
    nested = {name: value for name, value in AS_JSON.items() if name != "amount"} | {"charge": {"amount": 7.5}}
    assert read_json(contract, [nested]).table.columns["amount"].tolist() == [7.5]


@pytest.mark.timeout(10)
def test_more_columns_than_a_table_has_are_not_ignored() -> None:
    """A header of a million names is refused, whatever the caller would have ignored."""
    body = f"{','.join(INPUTS)}{',x' * 1_000_000}\n".encode()
    with pytest.raises(InputError) as caught:
        read_csv(CONTRACT.ignoring_others, body)
    assert [fault.code for fault in caught.value.faults] == [FaultCode.TOO_MANY_COLUMNS]
    assert check_file(CONTRACT, body).problem

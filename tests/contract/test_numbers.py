"""Numbers as people write them have one reading, or are refused."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.faults import CellFault, FaultCode
from contract.numbers import NumberEvidence, parse_number, readings_of
from contract.schema import Decimal

NUMBERS: Final = st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1201.5", 1201.5),
        ("1,201.50", 1201.5),
        ("1.201,50", 1201.5),
        ("1\u00a0201,50", 1201.5),
        ("1\u202f201,50 €", 1201.5),
        ("1'201.50", 1201.5),
        ("1\u2019201.50 CHF", 1201.5),
        ("12,01,201.50", 1_201_201.5),
        ("1.201.500", 1_201_500.0),
        ("$1,201.50", 1201.5),
        ("R$ 1.201,50", 1201.5),
        ("USD 1201.50", 1201.5),
        ("(1,201.50)", -1201.5),
        ("($1,201.50)", -1201.5),
        ("1201.50-", -1201.5),
        ("\u22125", -5.0),
        ("-$5", -5.0),
        ("+5", 5.0),
        ("1,5E+03", 1500.0),
        ("'12,5'", 12.5),
        (".5", 0.5),
        ("0,201", 0.201),
        ("0.201", 0.201),
    ],
)
def test_a_text_with_one_reading_is_read(text: str, value: float) -> None:
    """In the forms of common locales, with a currency, and as accountants write."""
    assert parse_number(text, Decimal.UNKNOWN) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "1..2", "1,20,1", "5%", "1,201,50", "ABC123", "1 2", "$5 USD", "-(5)", "(5", "5)", "--5"),
        *("31.12.2026", "12:05", "4111 1111 1111 1111", "1e", "\u0661\u0662", "0x10", "1_000", "nan", "inf", "1.2.3,4"),
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    """Dates, card numbers, other scripts' digits and half-written numbers among them."""
    with pytest.raises(CellFault, match=FaultCode.NOT_A_NUMBER):
        parse_number(text, Decimal.UNKNOWN)


@pytest.mark.parametrize("text", ["1.201", "1,201", "-12.345", "$1,201", "999,999"])
def test_a_text_with_two_readings_needs_to_be_told(text: str) -> None:
    """Three digits behind a sign are a fraction or thousands: one is a thousand times the other."""
    with pytest.raises(CellFault, match=FaultCode.AMBIGUOUS_NUMBER):
        parse_number(text, Decimal.UNKNOWN)
    point, comma = (parse_number(text, decimal) for decimal in (Decimal.POINT, Decimal.COMMA))
    assert max(abs(point / comma), abs(comma / point)) == pytest.approx(1000.0)


@given(NUMBERS, st.sampled_from(Decimal), st.sampled_from(["", ",", ".", " ", "'"]))
def test_a_number_is_read_as_it_was_written_or_refused(number: float, decimal: Decimal, group: str) -> None:
    """Whatever separates thousands: with either decimal sign no other number comes out."""
    sign = "," if decimal is Decimal.COMMA else "."
    text = f"{number:,.2f}".replace(",", "\0").replace(".", sign).replace("\0", "" if group == sign else group)
    assert parse_number(text, Decimal.UNKNOWN) == number
    assert parse_number(text, Decimal.COMMA if sign == "," else Decimal.POINT) == number


@pytest.mark.parametrize(
    ("texts", "decimal"),
    [
        (["1.201", "12.5"], Decimal.POINT),
        (["1.201", "12,5"], Decimal.COMMA),
        (["1.201", "7"], Decimal.UNKNOWN),
        (["12.5", "12,5"], None),
        (["", "abc"], Decimal.UNKNOWN),
    ],
)
def test_the_cells_of_a_file_tell_its_decimal_sign(texts: list[str], decimal: Decimal | None) -> None:
    """Those with one reading decide for those with two; where they contradict each other, nothing does."""
    evidence = NumberEvidence()
    for text in texts:
        evidence.add("amount", text)
    assert evidence.decimal is decimal


def test_several_currencies_of_a_column_are_told() -> None:
    """Their numbers are of different scales; a cell without one is none of another."""
    evidence = NumberEvidence()
    for text in ("$5", "5", "€5"):
        evidence.add("amount", text)
    evidence.add("fee", "$5")
    assert evidence.mixed_currencies == ["amount"]


def test_a_number_of_a_plain_file_is_what_every_program_takes_it_for() -> None:
    """Where a comma separates fields and nothing else tells, 1.201 is not a thousand; 1,201 in quotes needs a word."""
    parse = NumberEvidence().parser(Decimal.UNKNOWN, plain=True)
    assert parse("1.201") == 1.201
    with pytest.raises(CellFault, match=FaultCode.AMBIGUOUS_NUMBER):
        parse("1,201")


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_none(text: str) -> None:
    """Nothing else is raised, and no reading is without a value."""
    readings = readings_of(text)
    assert readings is None or readings.point is not None or readings.comma is not None


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["({}x", "1{}x", "({}1", "- {}x", "${}x", "1{}EUR{}x"])
@pytest.mark.parametrize("filler", [" ", "\u00a0", "1", "1,", "1 ", "-", "(", "'"])
def test_a_long_text_that_is_no_number_is_refused_at_once(text: str, filler: str) -> None:
    """Blanks between signs are not tried in all their parts."""
    long = text.replace("{}", filler * 100_000)
    assert readings_of(long) is None or "1" in filler

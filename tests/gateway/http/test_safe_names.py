"""What a caller chose, where it is written or sent back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.safe_names import is_safe_request_id, safe_file_name

DIGITS = st.text("0123456789", min_size=12, max_size=19)
SEPARATOR = st.text(" -_.:/\u2009\u200b|", max_size=3)
AROUND = st.text(max_size=10)


@given(DIGITS, SEPARATOR, AROUND, AROUND)
def test_no_card_number_is_echoed(digits: str, separator: str, before: str, behind: str) -> None:
    """However its digits are set apart, and whatever stands around them, it is neither an id nor a name."""
    text = before + separator.join(digits) + behind
    assert not is_safe_request_id(text)
    assert safe_file_name(text, 3) == "#3"


@pytest.mark.parametrize(
    "text", ["abc-1", "load-1", "01J9ZQ4T8XKD3V5N7B2M6C1R0F", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "a" * 64]
)
def test_usual_ids_are_kept(text: str) -> None:
    """A ULID, a UUID and a counter with a word."""
    assert is_safe_request_id(text)


@pytest.mark.parametrize(
    "text", ["", "12345678901", "a b", "a\nb", "ä", "a" * 65, "x" + "1" * 12, "0f8fad5b-d9cb-469f-a165-70867728950e"]
)
def test_other_ids_are_not(text: str) -> None:
    """Nothing, digits alone, what could forge a line, what is too long, and a long number."""
    assert not is_safe_request_id(text)


@pytest.mark.parametrize("name", ["a.csv", "March 2026 (2).csv", "Überweisungen_2026-11-30.csv", "交易.csv"])
def test_plain_names_are_kept(name: str) -> None:
    """Whatever the language; a date is no long number."""
    assert safe_file_name(name, 1) == name


@pytest.mark.parametrize("name", ["", "a\x00.csv", "a\u202egnp.csv", "x" * 101, "20261130093000.csv"])
def test_other_names_are_positions(name: str) -> None:
    """What is empty, invisible, very long, or holds a long number."""
    assert safe_file_name(name, 7) == "#7"

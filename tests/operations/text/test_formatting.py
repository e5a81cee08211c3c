"""Numbers and times as people read them, and shares as they type them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import OperationsError
from operations.text import formatting
from operations.text.formatting import parse_share

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(27164.0, "27,164"), (0, "0"), (0.0102587, "0.01026"), (0.5, "0.5"), (None, "-"), ("x", "-"), (True, "-")],
)
def test_numbers_have_sensible_digits(value: object, shown: str) -> None:
    """Whole numbers are whole, fractions have four digits, and what is no number is a dash."""
    assert formatting.number(value) == shown


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_without_an_end_is_shown(value: float) -> None:
    """A broken metric breaks no table."""
    assert formatting.number(value) == f"{value}"
    assert formatting.difference(0.5, value) == f"{value:+}"


@pytest.mark.parametrize(
    ("before", "after", "shown"), [(0.5, 0.4217, "-0.078"), (10, 12, "+2"), (0.1, 0.1, "+0"), (None, 1, "-")]
)
def test_a_difference_has_its_sign(before: object, after: object, shown: str) -> None:
    """Better or worse is seen at once; what only one has differs by nothing that can be told."""
    assert formatting.difference(before, after) == shown


@pytest.mark.parametrize(("value", "shown"), [(0.05, "5%"), (0.018338, "1.83%"), (1, "100%"), (None, "-")])
def test_shares_are_percent(value: object, shown: str) -> None:
    """A share is a percentage with three digits."""
    assert formatting.share(value) == shown


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        ("2026-02-28T23:59:18+00:00", "42 s"),
        ("2026-02-28T23:57:00+00:00", "3 min"),
        ("2026-02-28T21:00:00", "3 h"),
        ("2026-02-27T00:00:00+02:00", "2 d"),
        ("2026-03-01T00:00:05+00:00", "0 s"),
        ("yesterday", "-"),
        ("", "-"),
    ],
)
def test_an_age_is_in_its_largest_unit(created: str, shown: str) -> None:
    """Times without an offset are UTC, a clock that is ahead makes nothing younger than now."""
    assert formatting.age(created, NOW) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2026-01-01T10:02:33+00:00", "2026-01-01 10:02"), (1767.0, "1767"), ("soon", "soon"), (None, "-")],
)
def test_a_moment_is_written_as_the_data_does(value: object, shown: str) -> None:
    """ISO times to the minute, seconds as they are."""
    assert formatting.moment(value) == shown


def test_a_setting_is_one_line() -> None:
    """A table of settings stays readable, whatever is nested in it."""
    assert formatting.one_line({"seed": 1, "net": {"rate": 0.123456, "kind": "x"}}) == "seed 1, net rate 0.1235, kind x"


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0.1%", 0.001)])
def test_percent_and_fractions_are_read(text: str, share: float) -> None:
    """Both ways to write a share mean the same."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["0", "0%", "5", "101%", "-5%", "nan", "inf%", "", "%", "five", "5 percent", "1e-300", "0.001%"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    """A plain 5 is refused, not taken for 5% or for all."""
    with pytest.raises(OperationsError, match="no share"):
        parse_share(text)


@given(st.text())
def test_any_text_is_a_share_or_refused(text: str) -> None:
    """Nothing else comes out than a share above 0 and at most 1, or the refusal."""
    try:
        assert 0 < parse_share(text) <= 1
    except OperationsError:
        return

"""Shares of the traffic, as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import OperationsError
from operations.text.share import parse


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0.1%", 0.001)])
def test_percent_and_fractions_are_read(text: str, share: float) -> None:
    """Both ways to write a share mean the same."""
    assert parse(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text", ["0", "0%", "5", "101%", "-5%", "nan", "inf%", "", "%", "five", "5 percent", "1e-300", "0.001%"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    """A plain 5 is refused, not taken for 5% or for all."""
    with pytest.raises(OperationsError, match="no share"):
        parse(text)


@given(st.text())
def test_any_text_is_a_share_or_refused(text: str) -> None:
    """Nothing else comes out than a share above 0 and at most 1, or the refusal."""
    try:
        assert 0 < parse(text) <= 1
    except OperationsError:
        return

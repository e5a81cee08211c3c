"""Transactions out of a JSON body."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import NotScorable, NotSupported
from gateway.requests.transactions import parse_transactions, require_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_reads_any_json(value: Any) -> None:  # noqa: ANN401 - any JSON value at all
    """A list stays as it is, and anything else becomes a list of one."""
    assert list(parse_transactions(json.dumps(value).encode(), 100)) == (value if isinstance(value, list) else [value])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No body gives anything but values or a problem."""
    with contextlib.suppress(NotScorable):
        parse_transactions(body, 10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"amount": 1, "amount": 2}',
        b'[{"a": {"b": 1, "b": 1}}]',
        b"[" * 100_000,
        b"9" * 5_000,
        b"\xff\xfe{}",
        b"{'a': 1}",
    ],
)
def test_refuses_loose_json(body: bytes) -> None:
    """What the standard does not allow, or says a thing twice, is refused."""
    with pytest.raises(NotScorable):
        parse_transactions(body, 10)


def test_bounds_the_list() -> None:
    """A list longer than the setting is refused."""
    with pytest.raises(NotScorable):
        parse_transactions(b"[1, 2, 3]", 2)


@pytest.mark.parametrize("media_type", ["text/csv", "multipart/form-data", "text/plain"])
def test_refuses_other_kinds(media_type: str) -> None:
    """A body that says it is no JSON is not read as JSON."""
    with pytest.raises(NotSupported):
        require_json(media_type)

"""Transactions out of a JSON body, as strictly as JSON can be read.

Python's reader takes NaN, keeps the last of two equal keys and turns 1e999 into infinity: the first two are refused
here, the last by the contract's checks.
"""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from gateway.http.problems import NotScorable, NotSupported

JSON_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
JSON_TYPES = frozenset({"application/json", "", *JSON_LINES})


def parse_transactions(body: bytes | bytearray, max_transactions: int, media_type: str = "") -> Sequence[object]:
    """One object or a list of them as a list, or one a line; what is in them is the contract's to check.

    Raises:
        NotScorable: the body is not strict JSON, or not an object or a list of at most `max_transactions`.
    """
    try:
        # As json.loads does, which would make a decoder for each body.
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        if media_type in JSON_LINES:
            value: object = [_DECODER.decode(line) for line in text.split("\n") if line.strip()]
        else:
            value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        # ValueError: also of bytes that are not UTF-8, and of integers with more than 4,300 digits.
        lines = ": each line is an object" if media_type in JSON_LINES else ""
        raise NotScorable(f"The body is not JSON{lines}.") from None
    transactions = value if isinstance(value, list) else [value]
    if len(transactions) > max_transactions:
        raise NotScorable(f"More than {max_transactions} transactions; upload a file instead.")
    return transactions


def require_json(media_type: str) -> None:
    """Refuses a body that says it is something else.

    Raises:
        NotSupported: it does.
    """
    if media_type not in JSON_TYPES:
        raise NotSupported("Send application/json.")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotScorable("An object has a key twice.")
    return members


def _no_constant(_: str) -> NoReturn:
    raise NotScorable("NaN and Infinity are not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)

"""JSON that is none, or holds no transactions."""

import json

from tests.gateway.corpus.case import JSON, MARK, Case, one, posted, refused
from tests.gateway.process import ROW

KIND = b"application/json"


def cases() -> list[Case]:
    """All of them."""
    return [
        *refused("json", _syntax(), "/v1/score", KIND),
        *refused("json values", _values(), "/v1/score", KIND),
        *refused("json skipped", _values(), "/v1/score?on_error=skip", KIND, 200, 422),
        *refused("json labels", _syntax(), "/v1/labels", KIND, 409, 422),
        Case("json over the limit", posted("/v1/score", b"[%s]" % (b" " * 10_000_001), KIND), one(413)),
        Case("too many transactions", posted("/v1/score", b"[%s{}]" % (b"{}," * 10_000), KIND), one(422)),
    ]


def _syntax() -> dict[str, bytes]:
    mark = MARK.encode()
    return {
        "nothing": b"",
        "blanks": b" \n\t ",
        "NUL": b"\0",
        "a word": mark,
        "a string": b'"%s"' % mark,
        "a number": b"4556737586899855",
        "null": b"null",
        "true": b"true",
        "an empty list": b"[]",
        "a list of lists": b"[[]]",
        "a list of strings": b'["%s"]' % mark,
        "a list of nulls": b"[null]",
        "an object cut short": JSON[:-1],
        "an object and more": JSON + mark,
        "two objects": JSON + JSON,
        "a comma behind": JSON[:-1] + b",}",
        "a comma in a list": b"[" + JSON + b",]",
        "single quotes": JSON.replace(b'"', b"'"),
        "a comment": JSON + b"// " + mark,
        "NaN": b'{"amount": NaN}',
        "Infinity": b'{"amount": -Infinity}',
        "a key twice": b'{"%s": 1, "%s": 2}' % (mark, mark),
        "a number as key": b"{1: 2}",
        "a control in a string": b'{"a": "\x01"}',
        "a bad escape": b'{"a": "\\x41"}',
        "half an escape": b'{"a": "\\u12"}',
        "not UTF-8": b'{"a": "\xff"}',
        "overlong UTF-8": b'{"a": "\xc0\x80"}',
        "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
        "UTF-16": JSON.decode().encode("utf-16-le")[:-2],
        "a leading zero": b'{"amount": 01}',
        "a plus": b'{"amount": +1}',
        "a point alone": b'{"amount": .5}',
        "a point behind": b'{"amount": 5.}',
        "hexadecimal": b'{"amount": 0x10}',
        "a number of 5,000 digits": b'{"amount": %s}' % (b"1" * 5_000),
        "lists, deep": b"[" * 100_000,
        "lists, deep and whole": b"[" * 5_000 + b"]" * 5_000,
        "objects, deep": b'{"a":' * 50_000,
        "objects, deep and whole": b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
        "a long string": b'"%s"' % (b"x" * 100_000),
    }


def _values() -> dict[str, bytes]:
    def row(**changes: object) -> bytes:
        return json.dumps(ROW | changes).encode()

    def raw(text: str) -> bytes:
        return row(amount="@").replace(b'"@"', text.encode())

    numbers = [
        "1e400",
        "-1e400",
        "1" + "0" * 400,
        "-0.0001",
        "10001",
        f'"{MARK}"',
        '"10"',
        "true",
        "[1]",
        '{"a": 1}',
        "null",
        '""',
    ]
    times = [
        "",
        MARK,
        "yesterday",
        "2026-13-01T00:00:00",
        "2026-02-30T00:00:00",
        "2026-01-01T25:00:00",
        "0000-01-01",
        "x" * 300,
    ]
    return {
        **{f"amount {text[:12]}": raw(text) for text in numbers},
        **{f"time {text[:20]}": row(timestamp=text) for text in times},
        "time as a number": row(timestamp=4556737586899855),
        "no amount": json.dumps({name: value for name, value in ROW.items() if name != "amount"}).encode(),
        "no time": json.dumps({name: value for name, value in ROW.items() if name != "timestamp"}).encode(),
        "an unknown column": row(**{MARK: MARK}),
        "an empty column": row(**{"": 1}),
        "a column with NUL": row(**{"\0": 1}),
        "an id that is a list": row(transaction_id=[MARK]),
        "an id that is an object": row(transaction_id={MARK: MARK}),
        "an id of 300 characters": row(transaction_id="x" * 300),
        "a channel that is a number": row(channel=4556737586899855),
        "a channel of 300 characters": row(channel=MARK * 20),
        "a lone surrogate": row(channel="@").replace(b"@", b"\\ud800"),
        "an age that is text": row(age=MARK),
        "an age beyond all numbers": row(age="@").replace(b'"@"', b"1e999"),
        "one bad in a list": b"[" + JSON + b"," + raw("-1") + b"]",
        "no object in a list": b"[" + JSON + b"," + b'"%s"' % MARK.encode() + b"]",
        "500 unknown columns": row(**{f"c{number}": MARK for number in range(500)}),
    }

"""CSV that is no text, no table, or holds no transactions."""

import gzip

from tests.gateway.corpus.case import CSV_HEADER, CSV_ROW, GOOD_CSV, MARK, Case, one, posted, refused

KIND = b"text/csv"
MARKED = MARK.encode()
GZIP = b"Content-Encoding: gzip\r\n"
ID, TIME, AMOUNT, AGE, CHANNEL = b"t", b"2026-01-01T10:00:00", b"10", b"30", b"chip"


def cases() -> list[Case]:
    """All of them."""
    return [
        *refused("csv", _tables(), "/upload", KIND, 415, 422),
        *refused("csv", _cells(), "/upload", KIND),
        *refused("csv skipped", _tables(), "/upload?on_error=skip", KIND, 200, 415, 422),
        *refused("csv labels", _tables(), "/v1/labels", KIND, 409, 415, 422),
        Case("csv over the limit", posted("/upload", b"x" * 10_000_001, KIND), one(413)),
        *(
            Case(f"csv in gzip, {name}", posted("/upload", body, KIND, GZIP), one(status))
            for name, body, status in _packed()
        ),
        Case("csv in another encoding", posted("/upload", GOOD_CSV, KIND, b"Content-Encoding: br\r\n"), one(415)),
    ]


def _packed() -> list[tuple[str, bytes, int]]:
    packed = gzip.compress(GOOD_CSV)
    return [
        ("said so", packed, 200),
        ("in two parts", packed + gzip.compress(CSV_ROW), 200),
        ("said falsely", GOOD_CSV, 422),
        ("cut short", packed[:-9], 422),
        ("with more behind", packed + MARKED, 422),
        ("a bomb", gzip.compress(bytes(50_000_000)), 413),
    ]


def row(*cells: bytes) -> bytes:
    """A table of the right columns and this row."""
    return CSV_HEADER + b"\n" + b",".join(cells) + b"\n"


def _tables() -> dict[str, bytes]:
    text = GOOD_CSV.decode()
    return {
        "nothing": b"",
        "blank lines": b"\n\n\n",
        "a header alone": CSV_HEADER + b"\n",
        "rows without a header": CSV_ROW + b"\n" + CSV_ROW + b"\n",
        "a card as header": MARKED + b"\n1\n",
        "a header with a card": CSV_HEADER + b"," + MARKED + b"\n" + CSV_ROW + b",1\n",
        "a column twice": CSV_HEADER + b",amount\n" + CSV_ROW + b",1\n",
        "a column missing": GOOD_CSV.replace(b"amount", b"%s" % MARKED),
        "an empty column name": CSV_HEADER + b",\n" + CSV_ROW + b",1\n",
        "2,000 columns": b",".join([CSV_HEADER, *[b"c%d" % number for number in range(2_000)]])
        + b"\n"
        + CSV_ROW
        + b"\n",
        "a cell too few": CSV_HEADER + b"\n" + CSV_ROW.rpartition(b",")[0] + b"\n",
        "a cell too many": GOOD_CSV[:-1] + b"," + MARKED + b"\n",
        "a quote that never ends": CSV_HEADER + b'\n"' + MARKED + b"," + CSV_ROW + b"\n",
        "a quote inside": row(b't"t', TIME, b'1"0', AGE, CHANNEL),
        "more behind a quote": row(b'"t"x', TIME, b'"10"x', AGE, CHANNEL),
        "NUL": GOOD_CSV.replace(b"chip", b"ch\0ip"),
        "NULs alone": b"\0" * 1_000,
        "not UTF-8": GOOD_CSV.replace(b"chip", b"\xff\xfe"),
        "Latin-1": GOOD_CSV.replace(b"chip", b"caf\xe9"),
        "UTF-16 without a mark": text.encode("utf-16-le"),
        "UTF-32": text.encode("utf-32"),
        "a surrogate": GOOD_CSV.replace(b"chip", b"\xed\xa0\x80"),
        "gzip": gzip.compress(GOOD_CSV),
        "a zip": b"PK\x03\x04" + bytes(200),
        "JSON": b'{"amount": 10}',
        "HTML": b"<html><body>%s</body></html>" % MARKED,
        "a form": b"--b\r\n\r\n" + GOOD_CSV + b"\r\n--b--\r\n",
        "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD_CSV,
        "a line of 1 MB": CSV_HEADER + b"\n" + b"x" * 1_000_000,
        "a header of 1 MB": b"x" * 1_000_000 + b"\n1\n",
        "commas": b"," * 100_000,
        "quotes": b'"' * 100_001,
        "5,000 bad rows": CSV_HEADER + b"\n" + (MARKED + b",x,y,z,\n") * 5_000,
        "11,000 bad rows": CSV_HEADER + b"\n" + (MARKED + b",x,y,z,\n") * 11_000,
    }


def _cells() -> dict[str, bytes]:
    numbers = [
        "",
        "x",
        MARK,
        "1e400",
        "-1e400",
        "nan",
        "inf",
        "-1",
        "10001",
        "0x10",
        "1_000",
        "1,500",
        "1 00",
        "٣",
        "--1",
        "1e",
        "=1+1",
    ]
    times = [
        "",
        MARK,
        "yesterday",
        "2026-13-01T00:00:00",
        "2026-02-30",
        "0000-01-01T00:00:00",
        "99999-01-01",
        "10:00",
        "1e9",
        "x" * 300,
    ]
    return {
        **{f"amount {text}": row(ID, TIME, b'"%s"' % text.encode(), AGE, CHANNEL) for text in numbers},
        **{f"time {text[:20]}": row(ID, text.encode(), AMOUNT, AGE, CHANNEL) for text in times},
        "an age that is a word": row(ID, TIME, AMOUNT, MARKED, CHANNEL),
        "an age beyond all numbers": row(ID, TIME, AMOUNT, b"1e999", CHANNEL),
        "an id of 300 characters": row(MARKED * 20, TIME, AMOUNT, AGE, CHANNEL),
        "a channel of 300 characters": row(ID, TIME, AMOUNT, AGE, MARKED * 20),
        "a good row and a bad": GOOD_CSV + b"%s,x,y,z,\n" % MARKED,
    }

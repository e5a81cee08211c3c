"""Forms that are none, are cut short, or hold other files than were asked for."""

from collections.abc import Iterator

from tests.gateway.corpus.case import GOOD_CSV, MARK, Case, one, posted

MARKED = MARK.encode()
FORM = b"multipart/form-data; boundary=b"


def part(field: bytes = b"file", name: bytes = b"a.csv", body: bytes = GOOD_CSV, more: bytes = b"") -> bytes:
    """One file of a form."""
    head = b'Content-Disposition: form-data; name="%s"; filename="%s"\r\n' % (field, name)
    return b"--b\r\n" + head + more + b"\r\n" + body + b"\r\n"


END = b"--b--\r\n"


def cases() -> list[Case]:
    """All of them."""
    return [*_bodies(), *_boundaries(), *_batches()]


def _bodies() -> Iterator[Case]:
    good = part()
    field = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n'
    bad = {
        "nothing": b"",
        "the end alone": END,
        "no form": MARKED,
        "no end": good,
        "an end cut short": good + b"--b-",
        "cut in the file": good[:-20],
        "cut in the head": good[:40],
        "another boundary": good.replace(b"--b", b"--c") + END,
        "another field": part(b"other") + END,
        "an empty field name": part(b"") + END,
        "a field named by a card": part(MARKED) + END,
        "two files": good + good + END,
        "a file and another": good + part(b"other") + END,
        "a field only": field + END,
        "17 fields": good + field * 17 + END,
        "no disposition": b"--b\r\n\r\n" + GOOD_CSV + b"\r\n" + END,
        "a disposition without name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END,
        "a head without colon": b"--b\r\n%s\r\n\r\nx\r\n" % MARKED + END,
        "a head of 100 kB": part(more=b"A: " + b"x" * 100_000 + b"\r\n") + END,
        "10,000 heads": part(more=b"A: b\r\n" * 10_000) + END,
        "a blank before a colon": part(more=b"A : b\r\n") + END,
        "a control in a head's name": part(more=b"A\0: b\r\n") + END,
        "bare LF": (good + END).replace(b"\r\n", b"\n"),
        "no line before the boundary": good[:-2] + END,
        "a card before the first part": MARKED + b"\r\n" + good + END,
        "a form in a form": field.replace(b"\r\n\r\nx", b"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--")
        + END,
        "an empty file": part(body=b"") + END,
        "base64 as it says": part(body=b"aGVsbG8=", more=b"Content-Transfer-Encoding: base64\r\n") + END,
        "a file that is gzip": part(body=b"\x1f\x8b\x08\0\0\0\0\0") + END,
        "a name that is empty": part(name=b"") + END,
        "a name that is a card": part(name=MARKED) + END,
        "a name with NUL": part(name=b"a\0.csv", body=MARKED) + END,
        "a name with a path": part(name=b"../../%s" % MARKED) + END,
        "a name that is not UTF-8": part(name=b"\xff\xfe.csv", body=b"") + END,
        "a name with a quote": part(name=b'a\\".csv', body=b"") + END,
        "a name of 10 kB": part(name=b"x" * 10_000) + END,
        "a name by RFC 5987": part().replace(b'filename="a.csv"', b"filename*=UTF-8''%s" % MARKED) + END,
        "a spreadsheet": part(name=b"a.xlsx", body=b"PK\x03\x04") + END,
    }
    for name, body in bad.items():
        yield Case(f"form: {name}", posted("/upload", body, FORM), one(415, 422))


def _boundaries() -> Iterator[Case]:
    kinds = [
        b"multipart/form-data",
        b"multipart/form-data;",
        b"multipart/form-data; boundary",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=" + b"b" * 71,
        b'multipart/form-data; boundary="%s\\"' % MARKED,
        b"multipart/form-data; boundary=\xff",
        b"multipart/form-data; boundary=b{}",
        b"multipart/form-data; charset=utf-16",
        b"multipart/form-data; boundary*=UTF-8''%s" % MARKED,
        b"multipart/form-data, boundary=b",
        b"multipart/form-data; boundary=c; boundary=d",
    ]
    for kind in kinds:
        yield Case(f"boundary {kind!r}", posted("/upload", part() + END, kind), one(415, 422))


def _batches() -> Iterator[Case]:
    bad = {
        "nothing": END,
        "21 files": part(b"files") * 21 + END,
        "another field": part(b"file") + END,
        "a file and another": part(b"files") + part(b"file") + END,
        "cut short": part(b"files") * 2,
    }
    for name, body in bad.items():
        yield Case(f"batch: {name}", posted("/predict/batch", body, FORM), one(422))
    mixed = {
        "a bad file": part(b"files", body=b"%s\n1\n" % MARKED),
        "an empty file": part(b"files", body=b""),
        "a name that is a card": part(b"files", MARKED + b".csv"),
        "a name in Arabic digits": part(b"files", ("٤٥٥٦٧٣٧٥٨٦٨٩٩٨٥٥.csv").encode()),
        "a bad row": part(b"files", body=GOOD_CSV + b"%s,x,y,z,\n" % MARKED),
    }
    for name, body in mixed.items():
        yield Case(f"batch: {name}", posted("/predict/batch", body + part(b"files") + END, FORM), one(200))
        yield Case(f"batch skipping: {name}", posted("/predict/batch?on_error=skip", body + END, FORM), one(200))

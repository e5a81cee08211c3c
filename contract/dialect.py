"""How a file of text with separated fields is written: encoding, separator, and what stands above its header.

It is found by the names that the header must have, so that no cell decides it: the line and the separator with the
most known names are the header's. A file in UTF-8 with commas whose first line is its header is plain.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from contract.faults import NotTextError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
HEAD_BYTES, HEAD_LINES = 65_536, 40
"""Among which the header is looked for."""
DECODED_BYTES = 65_536
"""Bytes that are checked to be text at a time."""
UTF_8, UTF_16 = "utf-8-sig", "utf-16"
BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: UTF_16, codecs.BOM_UTF16_BE: UTF_16}
ZIP = b"PK\x03\x04"
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\s*', re.IGNORECASE)
"""What Excel reads and writes as a first line."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written.

    Attributes:
        encoding: as Python names it.
        separator: between fields.
        skipped_lines: above the header.
    """

    encoding: str = UTF_8
    separator: str = ","
    skipped_lines: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it is what every program reads."""
        return self == PLAIN


PLAIN = Dialect()


def find_dialect(
    body: bytes, count_known: Callable[[Sequence[str]], int], needed: int, encoding: str = UTF_8
) -> Dialect:
    """The dialect of a file; the plain one where no line has a known name.

    Args:
        body: the file.
        count_known: how many of the names of a header are known; at most as many as there are.
        needed: how many a header has: a first line with as many of them needs no look at others.
        encoding: of a file that is not UTF-8 and says nothing of it.
    """
    first = body[: body.find(b"\n") + 1]
    plain = len(first) < HEAD_BYTES and b"\0" not in first and encoding == UTF_8
    if plain and count_known(cells_of(first.decode(UTF_8, "replace"), ",")) >= needed:
        return PLAIN
    encoding = encoding_of(body, encoding)
    lines = head_lines(body, encoding)
    declared = separator_line(lines)
    found = {
        (line, separator): count_known(cells_of(lines[line], separator))
        for separator in ([declared] if declared else SEPARATORS)
        for line in range(1 if declared else 0, len(lines))
    }
    best = max(found, key=lambda place: found[place], default=None)
    if best is None or not found[best]:
        return Dialect(encoding)
    return Dialect(encoding, best[1], best[0])


def csv_records(body: bytes, dialect: Dialect = PLAIN) -> Iterator[list[str]]:
    """The records of a file as lists of cells, blank lines left out; the header is the first.

    Raises:
        NotTextError: the bytes are not text in the encoding, or hold a NUL.
        csv.Error: raised by the iterator at a record that is not well-formed.
    """
    _require_text(body, dialect.encoding)
    # Decoded as it is read: a StringIO of the whole holds four bytes for each character.
    text = io.TextIOWrapper(io.BytesIO(body), dialect.encoding, newline="")
    for _ in range(dialect.skipped_lines):
        text.readline()
    # A generator, not filter(): megabytes of blank lines must not hold the interpreter's lock in one call.
    return (record for record in csv.reader(text, strict=True, delimiter=dialect.separator) if record)


def separator_line(lines: Sequence[str]) -> str:
    """The separator that the first line declares; "" where it is no such line."""
    declared = SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    return declared[1] if declared else ""


def encoding_of(body: bytes, other: str) -> str:
    """The encoding of a file: UTF-16 by its first bytes, else UTF-8, or the `other` one where it is not UTF-8."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            return encoding
    if other == UTF_8:
        return UTF_8
    return UTF_8 if _is_text(body, UTF_8) else other


def head_lines(body: bytes, encoding: str) -> list[str]:
    """The first lines of a file, of which the last may be cut off."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(body[:HEAD_BYTES])
    return io.StringIO(text, newline=None).readlines()[:HEAD_LINES]


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of a line that stands by itself; none where it is not well-formed."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _require_text(body: bytes, encoding: str) -> None:
    if body.startswith(ZIP):
        raise NotTextError("The file is binary, not text: an archive or a workbook. Save it as CSV.")
    if not _is_text(body, encoding):
        raise NotTextError(
            "The file is not UTF-8 text: save it as UTF-8, or name its encoding in the schema "
            '([reading] encoding = "cp1252").'
            if encoding == UTF_8
            else f"The file is not text in {encoding}."
        )
    if encoding != UTF_16 and b"\0" in body:
        raise NotTextError("The file is binary, not text.")


def _is_text(body: bytes, encoding: str) -> bool:
    """Decodes the bytes piece by piece, and keeps nothing."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for begin in range(0, len(body), DECODED_BYTES):
            decoder.decode(body[begin : begin + DECODED_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True

"""One request of the corpus."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.gateway.process import KEY, ROW

MARK = "4556-7375-8689-9855"
"""Stands in values, names and headers of the cases: no answer and no log line may repeat it."""
HOST = b"Host: x\r\n"
KEYED = b"X-API-Key: %s\r\n" % KEY.encode()
CLOSE = b"Connection: close\r\n"
JSON = json.dumps(ROW).encode()
CSV_HEADER = ",".join(ROW).encode()
CSV_ROW = ",".join(map(str, ROW.values())).encode()
GOOD_CSV = CSV_HEADER + b"\n" + CSV_ROW + b"\n"


@dataclass(frozen=True)
class Case:
    """Bytes, and what may come back.

    Attributes:
        data: everything that is sent, unless it is cut short by an answer.
        statuses: of all answers but 100, in their order, each a set of what is right; of a caller who ended it himself
            none may come.
        entry: the same through the entry, where that differs: HAProxy refuses or mends some of it itself.
        cut: the caller sends less than he announced, and closes his side when nothing comes for a while.
        rule: where it is written.
    """

    name: str
    data: bytes
    statuses: tuple[frozenset[int], ...]
    entry: tuple[frozenset[int], ...] | None = None
    cut: bool = False
    rule: str = ""

    def allowed(self, *, through_entry: bool) -> tuple[frozenset[int], ...]:
        """What may be answered."""
        return self.entry if through_entry and self.entry is not None else self.statuses


def one(*statuses: int) -> tuple[frozenset[int], ...]:
    """One answer, of one of these statuses."""
    return (frozenset(statuses),)


def message(
    line: bytes = b"GET /v1/contract HTTP/1.1", more: bytes = b"", body: bytes = b"", host: bytes = HOST
) -> bytes:
    """A request with a key that closes its connection."""
    return line + b"\r\n" + host + KEYED + CLOSE + more + b"\r\n" + body


def posted(path: str, body: bytes, kind: bytes, more: bytes = b"") -> bytes:
    """A request with a body whose length is right."""
    head = b"Content-Type: %s\r\nContent-Length: %d\r\n" % (kind, len(body))
    return message(b"POST %s HTTP/1.1" % path.encode(), head + more, body)


def refused(name: str, bodies: Mapping[str, bytes], path: str, kind: bytes, *statuses: int) -> list[Case]:
    """A case for each of these bodies; 422 unless it is said."""
    right = one(*(statuses or (422,)))
    return [Case(f"{name}: {each} at {path}", posted(path, body, kind), right) for each, body in bodies.items()]

"""Requests made from good ones by mutation: CSV, JSON, forms and labels, each the same again for its seed and number.

Every one carries its own mark in cells, names or headers, which no answer may repeat but where it is asked to: the ids
of predictions, and a file that comes back.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.schema import Contract, Kind
from tests.gateway.contracts import as_lines, bad_texts, bad_values, good_row

MARK = "zq{:08x}qz"
MOMENTS = (
    "2026-01-31T18:05:00",
    "31/01/2026 18:05",
    "1.7e9",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59",
    "x",
    "",
)
ODD_TEXTS = (
    "", " ", "0", "-0", "1e400", "-1e-400", "NaN", "inf", "0x10", "1_000", "1,5", "٣", "true", "null", "=1+1", "@x",
    "-", "'", '"', "a\nb", "a\rb", "\t", "\x00", "\x1f", "\u2028", "\ufeff", "\u202e", "e\u0301", "İ" * 200, "x" * 256,
    "x" * 257, "x" * 140_000, "2026-02-29T00:00:00", "../../x", "${jndi:x}", "<script>", "%s%n", "' OR 1=1", *MOMENTS,
)  # fmt: skip
ODD_VALUES: tuple[object, ...] = (
    *ODD_TEXTS, None, True, False, 0, -1, 1.5, 1e300, 5e-324, 2**63, 10**400, [], [None], {}, {"a": {}}, "\ud800",
    [[[[[]]]]],
)  # fmt: skip
JUNK = ("\x00", "\r", "\n", "\r\n", '"', ",", ";", "\t", "{", "[", "--", "\\", ":", "NaN", "1e999", "é", "\ufeff")
TYPES = (
    "application/json", "application/JSON", "application/json; charset=utf-8", "text/csv", "TEXT/CSV; header=present",
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json, text/csv", "*/*",
    "\xe9",
)  # fmt: skip
ACCEPTS = (
    "application/json",
    "text/csv",
    "text/csv;q=0",
    "*/*",
    "text/csv, application/json;q=0.5",
    "text/csv;q=x",
    ";,;",
)
ON_ERRORS = ("skip", "refuse", "", "SKIP", "ignore")
RECORDS = ("true", "false", "0", "", "maybe")


@dataclass
class Made:
    """One request, and what no answer to it may repeat."""

    path: str
    query: str
    body: bytes
    mark: str
    headers: dict[str, str] = field(default_factory=dict)


class Maker:
    """Makes the request of a number."""

    def __init__(self, contract: Contract, seed: int, number: int) -> None:
        self._contract = contract
        self._random = random.Random(f"{contract.name}-{seed}-{number}")  # noqa: S311 - no secret: it is repeated
        self._number = number
        self.mark = MARK.format(self._random.getrandbits(32))

    def made(self) -> Made:
        """A body for one of the routes, with options, mutated in some places or in none."""
        path, make = self._one([
            ("/v1/score", self._json), ("/upload", self._csv), ("/upload", self._form), ("/predict/batch", self._form),
            ("/v1/labels", self._labels),
        ])  # fmt: skip
        kind, body = make()
        headers = {"content-type": kind}
        if self._often(0.03):
            headers["content-type"] = self._one([*TYPES, self.mark])
        if self._often(0.4):
            headers["accept"] = self._one([*ACCEPTS, self.mark])
        if self._often(0.02):
            headers["content-encoding"] = "gzip"
        return Made(path, self._query(), self._damaged(body), self.mark, headers)

    def _query(self) -> str:
        parts = []
        if self._often(0.6):
            parts.append(f"on_error={self._mostly('skip', [*ON_ERRORS, self.mark])}")
        if self._often(0.4):
            parts.append(f"record={self._mostly('false', [*RECORDS, self.mark])}")
        if self._often(0.05):
            parts.append(self._one([f"{self.mark}=1", "on_error", "=", "%ff=%ff", f"record={self.mark}", "&&"]))
        return "&".join(parts)

    def _rows(self) -> list[dict[str, Any]]:
        return [self._row(place) for place in range(self._one([0, 1, 1, 1, 2, 3, 8, 40]))]

    def _row(self, place: int) -> dict[str, Any]:
        row: dict[str, Any] = dict(good_row(self._contract, f"g-{self._random.randrange(500)}-{place}"))
        for column in self._contract.inputs:
            if column.kind is Kind.ENTITY:
                row[column.name] = f"e-{self._random.randrange(20)}"
        return row

    def _json(self) -> tuple[str, bytes]:
        rows: list[object] = [self._mutated(row) for row in self._rows()]
        value: object = rows[0] if len(rows) == 1 and self._often(0.5) else rows
        if self._often(0.05):
            value = self._one([None, 5, "text", [[]], [value], {"transactions": value}, self.mark])
        return "application/json", self._text_of(value)

    def _mutated(self, row: dict[str, Any]) -> object:
        if self._often(0.4):
            return row
        column = self._one(self._contract.inputs)
        match self._one(["bad", "odd", "odd", "mark", "drop", "name", "no object", "shuffle"]):
            case "bad":
                row[column.name] = self._one(bad_values(column))
            case "odd":
                row[self._one(list(row))] = self._one(ODD_VALUES)
            case "mark":
                row[column.name] = self._one([self.mark, [self.mark], {self.mark: self.mark}])
            case "drop":
                row.pop(column.name, None)
            case "name":
                row[self._one([self.mark, "", " ", column.name.upper(), "__proto__", "\ud800"])] = self.mark
            case "no object":
                return self._one([None, 5, "text", [], {}, self.mark, [row]])
            case _:
                return dict(self._random.sample(sorted(row.items()), len(row)))
        return row

    def _csv(self) -> tuple[str, bytes]:
        header = list(self._contract.input_names)
        if self._often(0.1):
            header[self._random.randrange(len(header))] = self._one(
                [self.mark, "", header[0], f" {header[0]} ", "fraud"]
            )
        if self._often(0.1):
            self._random.shuffle(header)
        records = [self._record(row, header) for row in self._rows()]
        text = as_lines([header, *records])
        if self._often(0.15):
            text = text.replace("\r\n", self._one(["\n", "\r", "\n\n", "\r\n\r\n", "\n \n"]))
        if self._often(0.05):
            text = text.replace(",", self._one([";", "\t", ", ", "|"]))
        if self._often(0.05):
            text = self._one(["\ufeff", "\n\n", "#", "sep=,\n"]) + text
        encoding = self._mostly("utf-8", ["utf-16", "latin-1", "utf-7"]) if self._often(0.2) else "utf-8"
        return "text/csv", text.encode(encoding, "replace")

    def _record(self, row: dict[str, Any], header: Sequence[str]) -> list[object]:
        cells = [row.get(name.strip(), "") for name in header]
        place = self._random.randrange(len(cells))
        if self._often(0.5):
            return cells
        match self._one(["bad", "odd", "odd", "mark", "more", "less"]):
            case "bad":
                column = self._one(self._contract.inputs)
                cells[place] = self._one(bad_texts(column))
            case "odd":
                cells[place] = self._one(ODD_TEXTS)
            case "mark":
                cells[place] = self.mark
            case "more":
                cells.append(self.mark)
            case _:
                cells.pop()
        return cells

    def _labels(self) -> tuple[str, bytes]:
        rows = [self._label(place) for place in range(self._one([0, 1, 1, 2, 5]))]
        if self._often(0.5):
            return "application/json", self._text_of(rows if len(rows) != 1 or self._often(0.5) else rows[0])
        names = ["transaction_id", "fraud", "confirmed_at"][: self._mostly(3, [2, 1])]
        lines = [names, *(["" if row.get(name) is None else row[name] for name in names] for row in rows)]
        body = as_lines(lines).encode(errors="replace")
        return ("text/csv", body) if self._often(0.7) else self._as_form([("file", "labels.csv", body)])

    def _label(self, place: int) -> dict[str, Any]:
        label = {
            "transaction_id": f"g-{self._random.randrange(500)}-{place}",
            "fraud": self._mostly(True, [False, "true", "1", 0, 1, 2, None, "maybe", [], self.mark]),
            "confirmed_at": self._mostly(None, [*MOMENTS, 1.7e9, 1.7e12, -1, 1e300, self.mark]),
        }
        if self._often(0.2):
            label[self._one([*label, self.mark])] = self._one([*ODD_VALUES, self.mark])
        return label

    def _form(self) -> tuple[str, bytes]:
        name = self._mostly("file", ["files", self.mark, ""])
        count = 1
        if self._often(0.5):
            name, count = "files", self._one([1, 2, 3, 6, 21])
        return self._as_form([(name, self._file_name(), self._csv()[1]) for _ in range(count)])

    def _file_name(self) -> str:
        others = [f"{self.mark}.csv", "A.CSV", "a.txt", "", "ÿ.csv", '".csv', "../a.csv", "a\\.csv"]
        return str(self._mostly("a.csv", others))

    def _as_form(self, files: Sequence[tuple[str, str, bytes]]) -> tuple[str, bytes]:
        boundary = self._mostly("BoUnDaRy", ["b", "a b", "x" * 70, "x" * 71, "", self.mark])
        parts = [self._part(boundary, *file) for file in files]
        if self._often(0.05):
            text = f'--{boundary}\r\nContent-Disposition: form-data; name="{self.mark}"\r\n\r\n{self.mark}\r\n'
            parts += [text.encode()] * self._one([1, 16, 17])
        end = self._mostly(f"--{boundary}--\r\n", ["", f"--{boundary}", f"--{boundary}--{self.mark}"])
        quoted = self._mostly(f'"{boundary}"', [boundary, f"'{boundary}'", ""])
        return f"multipart/form-data; boundary={quoted}", b"".join(parts) + end.encode()

    def _part(self, boundary: str, name: str, file: str, body: bytes) -> bytes:
        disposition = self._mostly(
            f'form-data; name="{name}"; filename="{file}"',
            [f'form-data; name="{name}"', "form-data", self.mark, f"form-data; name*=utf-8''{name}; filename={file}"],
        )
        more = self._one(
            ["", "", "Content-Type: text/csv\r\n", f"X-More: {self.mark}\r\n", "Content-Length: 5\r\n", ":\r\n"]
        )
        return f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{more}\r\n".encode() + body + b"\r\n"

    def _text_of(self, value: object) -> bytes:
        text = json.dumps(value, ensure_ascii=self._often(0.5))
        if self._often(0.03):
            text = self._one(
                [text * 2, f"{text},", "[" * 3000, '{"a":1,"a":2}', f'{{"{self.mark}":NaN}}', f"//\n{text}"]
            )
        return text.encode(self._mostly("utf-8", ["utf-16", "utf-8-sig"]), "surrogatepass")

    def _damaged(self, body: bytes) -> bytes:
        """As it arrives: mostly as it was made."""
        return self._broken(body, self._random.randrange(len(body))) if body and self._often(0.15) else body

    def _broken(self, body: bytes, at: int) -> bytes:
        junk: bytes = self._one([*JUNK, self.mark]).encode()
        broken: list[bytes] = [
            body[:at],
            body[:at] + bytes([body[at] ^ (1 << self._random.randrange(8))]) + body[at + 1 :],
            body[:at] + junk + body[at:],
            body[:at] + body[at + self._random.randrange(1, 9) :],
            body[at:] + body[:at],
        ]
        return self._random.choice(broken)

    def _often(self, share: float) -> bool:
        return self._random.random() < share

    def _one(self, choices: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever there is to choose from
        return self._random.choice(choices)

    def _mostly(self, usual: Any, others: Sequence[Any]) -> Any:  # noqa: ANN401 - likewise
        return usual if self._often(0.85) else self._one(others)

"""Answers as bytes: scores as JSON or as the uploaded file with columns added, and other JSON answers."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import orjson

from contract.schema import Kind
from contract.table import csv_records
from gateway.labels.receiving import LabelReceipt
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import AdoptedModel

FORMULA = re.compile("(^|[;\t\r\n])[\\s\u200b-\u200f\u2060\ufeff\x00-\x1f]*[=+@\uff1d\uff0b\uff0d\uff20-]|^[\t\r\n]")
"""What a spreadsheet runs (OWASP, CSV injection): a sign at a cell's start, behind blanks or invisible characters, in
its full-width form too, or behind a separator at which some spreadsheets begin another cell."""
QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
BLOCK_ROWS = 1_000
ADDED_COLUMNS = ("fraud_probability", "decision", "model_version")
SKIPPED = ("", "error", "")


def as_json(result: ScoreResult) -> bytes:
    """The JSON answer of a scored input; every skipped row is listed, so that nothing is lost."""
    fields: dict[str, Any] = {
        "model_version": result.model.version,
        "rows": result.rows,
        "flagged": result.flagged,
        "predictions": orjson.Fragment(_predictions_json(result)),
    }
    if result.degraded:
        fields["degraded"] = result.degraded
    if result.faults:
        fields["errors"] = result.faults
        fields["skipped"] = result.rows - len(result.decisions)
    return to_json(fields)


def to_json(value: object) -> bytes:
    """JSON in which a float32 has its own shortest digits, not those of a float64."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def labels_json(receipt: LabelReceipt) -> bytes:
    """The JSON answer of labels; every row that was not taken is listed, so that nothing is lost."""
    fields: dict[str, Any] = {
        "labels": receipt.labels,
        "accepted": receipt.accepted,
        "changed": receipt.changed,
        "unknown": receipt.unknown,
    }
    if receipt.faults:
        fields["errors"] = receipt.faults
        fields["skipped"] = receipt.skipped
    return to_json(fields)


def contract_json(model: AdoptedModel) -> bytes:
    """The live contract as a caller needs it: the columns to send, and the thresholds in force."""
    fields = {
        "model_version": model.version,
        "fingerprint": model.contract.fingerprint,
        "columns": [column.to_json() for column in model.contract.inputs],
        "decision_thresholds": model.bands,
    }
    return to_json(fields)


def as_csv(result: ScoreResult, body: bytes) -> bytes:
    """The uploaded rows in their order with ADDED_COLUMNS; a skipped row has the decision "error" and no score."""
    records = csv_records(body)
    header = next(records)
    encoded = io.BytesIO()
    text = io.TextIOWrapper(encoded, "utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow([*map(escape_formula, header), *ADDED_COLUMNS])
    number_positions = _number_positions(result, header)
    for record, added in zip(records, _added_cells(result), strict=True):
        checked = number_positions if added else frozenset()
        cells = [cell if position in checked else escape_formula(cell) for position, cell in enumerate(record)]
        padding = [""] * (len(header) - len(cells))
        # The added cells stand under their headings whatever the row's own length: surplus cells come after them.
        writer.writerow([*cells[: len(header)], *padding, *(added or SKIPPED), *cells[len(header) :]])
    text.flush()
    return encoded.getvalue()


def prefers_csv(accept: str) -> bool:
    """Whether an Accept header ranks text/csv above JSON; a type that it does not name is not preferred."""
    ranks = dict(map(_rank, accept.split(",")))
    return ranks.get("text/csv", 0.0) > ranks.get("application/json", 0.0)


def _rank(entry: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in entry.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    return kind, float(quality) if QUALITY.fullmatch(quality) else 0.0


def escape_formula(cell: str) -> str:
    """The cell, made text where a spreadsheet would run it."""
    return f"'{cell}" if FORMULA.search(cell) else cell


def _number_positions(result: ScoreResult, header: Sequence[str]) -> frozenset[int]:
    """Where a scored row holds what was checked to be a number: its minus sign may stay."""
    names = {column.name for column in result.model.contract.inputs if column.kind is Kind.NUMBER}
    return frozenset(position for position, name in enumerate(header) if name.strip() in names)


def _added_cells(result: ScoreResult) -> Iterator[tuple[str, ...]]:
    """For each row of the upload its cells under ADDED_COLUMNS; none for a skipped row."""
    added = zip(result.probabilities, result.decisions, result.versions, strict=True)
    good = set(result.row_numbers.tolist())
    for number in range(1, result.rows + 1):
        if number in good:
            probability, decision, version = next(added)
            yield np.format_float_positional(probability, trim="0"), decision, str(version)
        else:
            yield ()


def _predictions_json(result: ScoreResult) -> bytes:
    """The rows as a JSON array; a block of them at a time is more than its text."""
    rows, blocks = _predictions(result), []
    while block := list(islice(rows, BLOCK_ROWS)):
        blocks.append(to_json(block)[1:-1])
    return b"[%s]" % b",".join(blocks)


def _predictions(result: ScoreResult) -> Iterator[dict[str, Any]]:
    columns = (result.row_numbers.tolist(), result.ids, result.probabilities, result.decisions, result.versions)
    for number, identity, probability, decision, version in zip(*columns, strict=True):
        yield {
            "row": number,
            "id": identity,
            "fraud_probability": probability,
            "decision": decision,
            "model_version": version,
        }

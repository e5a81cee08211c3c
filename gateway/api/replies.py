"""JSON answers as bytes; `gateway.api.csv_answer` has the uploaded file with columns added."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from contract.hints import with_hints
from gateway.api import row_text
from gateway.http.problems import LISTED_FAULTS
from gateway.labels.receiving import LabelReceipt
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import AdoptedModel

QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
OBJECT_ROWS = 1_000
"""Up to so many rows are written as objects, one by one, which is quicker."""
BLOCK_ROWS = 65_536
"""Rows that are put together at a time: their columns and their text are in memory twice."""


def as_json(result: ScoreResult) -> bytes:
    """The JSON answer of a scored input; every skipped row is listed, so that nothing is lost."""
    head = {
        "model_version": result.model.version,
        "rows": result.rows,
        "flagged": result.flagged,
        "notes": result.noted.notes,
    }
    tail: dict[str, Any] = {}
    if result.degraded:
        tail["degraded"] = result.degraded
    if result.faults:
        hinted = with_hints(result.model.contract, result.faults, LISTED_FAULTS)
        tail["errors"] = [fault.to_json() for fault in hinted]
        tail["skipped"] = result.rows - len(result.decisions)
    rest = to_json(tail)[1:]
    # By hand: as a fragment the rows would be copied once more.
    return b"".join(
        [to_json(head)[:-1], b',"predictions":[', *_prediction_blocks(result), b"]," if tail else b"]", rest]
    )


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
        fields["errors"] = [fault.to_json() for fault in receipt.faults]
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


def prefers_csv(accept: str) -> bool:
    """Whether an Accept header ranks text/csv above JSON; a type that it does not name is not preferred."""
    ranks = dict(map(_rank, accept.split(",")))
    return ranks.get("text/csv", 0.0) > ranks.get("application/json", 0.0)


def _rank(entry: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in entry.split(";"))
    quality = next((part[2:] for part in parameters if part.startswith("q=")), "1")
    return kind, float(quality) if QUALITY.fullmatch(quality) else 0.0


def _prediction_blocks(result: ScoreResult) -> list[bytes]:
    """The rows as the inside of a JSON array."""
    rows = len(result.decisions)
    if rows <= OBJECT_ROWS:
        return [to_json(list(_predictions(result)))[1:-1]]
    first, *others = [_prediction_rows(result, slice(at, at + BLOCK_ROWS)) for at in range(0, rows, BLOCK_ROWS)]
    return [first[1:], *others]


def _prediction_rows(result: ScoreResult, rows: slice) -> bytes:
    """What `_predictions` gives for these rows, each with a comma before it."""
    return row_text.join_rows(
        b',{"row":',
        row_text.json_numbers(result.row_numbers[rows]),
        b'"id":',
        *row_text.json_strings(result.ids[rows]),
        b',"fraud_probability":',
        row_text.json_numbers(result.probabilities[rows]),
        b'"decision":"',
        row_text.plain_texts(result.decisions[rows]),
        b'","model_version":',
        row_text.json_numbers(np.array(result.versions[rows]), b"}"),
    )


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

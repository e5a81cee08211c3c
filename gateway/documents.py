"""What /docs shows: the shapes of requests and answers, with examples that work on the default model.

Nothing is validated by these: a request is read by `contract`, whose columns are the live version's, not this file's.
"""

from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TRANSACTION = {
    "transaction_id": "tx-1001",
    "timestamp": "2026-03-14T22:41:07",
    "customer_id": "c-17",
    "terminal_id": "t-402",
    "amount": 212.9,
    "merchant_category": "electronics",
    "channel": "online",
    "country": "NL",
}
CSV = ",".join(TRANSACTION) + "\n" + ",".join(str(value) for value in TRANSACTION.values()) + "\n"
FILE = {"type": "string", "format": "binary"}


class FaultEntry(BaseModel):
    """Where an input is at fault, and how; never what it says."""

    row: int | None = Field(description="Number of the data row, from 1; null for the header or the whole input.")
    column: str | None = Field(description="Name of the column; #3 is the third, where its name is unknown.")
    code: str = Field(examples=["not_a_number"])


class ProblemEntry(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:fraud-detection:not_scorable",
                "title": "The transactions cannot be scored",
                "status": 422,
                "detail": "Rows have faults; on_error=skip would score the others.",
                "errors": [{"row": 3, "column": "amount", "code": "not_a_number"}],
                "error_count": 1,
            }
        }
    )
    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FaultEntry] | None = Field(None, description="The first 20.")
    error_count: int | None = Field(None, description="All of them.")


class Prediction(BaseModel):
    """One transaction's answer."""

    row: int
    id: str | None
    fraud_probability: float = Field(ge=0, le=1, description="Calibrated probability of fraud.")
    decision: Literal["approve", "review", "decline"]
    model_version: int = Field(description="The version that scored this row; another one while a canary is on.")


class ScoreReply(BaseModel):
    """The answer for a file or a list of transactions."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model_version": 1,
                "rows": 1,
                "flagged": 1,
                "predictions": [
                    {
                        "row": 1,
                        "id": "tx-1001",
                        "fraud_probability": 0.0374,
                        "decision": "review",
                        "model_version": 1,
                    }
                ],
            }
        }
    )
    model_version: int = Field(description="The live version of this request.")
    rows: int = Field(description="Rows received, skipped ones included.")
    flagged: int = Field(description="Rows that are not approved.")
    predictions: list[Prediction]
    degraded: list[str] | None = Field(None, description='["history"]: Redis was not there; history was neutral.')
    skipped: int | None = Field(None, description="Rows with faults; only with on_error=skip.")
    errors: list[FaultEntry] | None = Field(None, description="Every fault; only with on_error=skip.")


class LabelsReply(BaseModel):
    """What became of labels."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"labels": 3, "accepted": 2, "changed": 1, "unknown": [3]}},
    )
    labels: int = Field(description="Rows received, skipped ones included.")
    accepted: int = Field(description="Rows whose transaction is known.")
    changed: int = Field(description="Transactions that have another label now; the same again changes none.")
    unknown: list[int] = Field(description="Numbers of all rows whose transaction is not known; not taken.")
    skipped: int | None = Field(None, description="Rows with faults; only with on_error=skip.")
    errors: list[FaultEntry] | None = Field(None, description="Every fault; only with on_error=skip.")


class FileReply(BaseModel):
    """One file of a batch: its answer, or its problem."""

    file: str = Field(description="The file's name; #2, the second, where it is long or holds a long number.")
    status: int
    result: ScoreReply | None = None
    problem: ProblemEntry | None = None


class BatchReply(BaseModel):
    """The answers for a batch, in the order of its files."""

    files: list[FileReply]


class Bands(BaseModel):
    """The probabilities from which a transaction is reviewed and declined."""

    review: float
    decline: float


class ContractReply(BaseModel):
    """What to send to the live version."""

    model_version: int
    fingerprint: str
    columns: list[dict[str, Any]]
    decision_thresholds: Bands


class HealthReply(BaseModel):
    """The state of each part."""

    status: Literal["healthy", "degraded", "unhealthy"]
    model_status: str
    disk_usage: float = Field(description="Share of the disk in use, 0 to 100.")
    memory_usage: float = Field(description="Share of the memory in use, 0 to 100.")
    components: dict[str, Any]


UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": {"file": FILE}}},
            "text/csv": {"schema": {"type": "string"}, "example": CSV},
        },
    }
}
BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": FILE}},
                }
            }
        },
    }
}
SCORE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
                    "description": "One transaction or a list; the fields are the columns of /v1/contract.",
                },
                "examples": {"one": {"value": TRANSACTION}, "list": {"value": [TRANSACTION]}},
            }
        },
    }
}
LABEL = {"transaction_id": "tx-1001", "fraud": True, "confirmed_at": "2026-03-19T09:30:00"}
LABELS_CSV = ",".join(LABEL) + "\ntx-1001,true,2026-03-19T09:30:00\n"
LABELS_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
                    "description": "One label or a list.",
                },
                "examples": {"one": {"value": LABEL}, "list": {"value": [LABEL]}},
            },
            "text/csv": {"schema": {"type": "string"}, "example": LABELS_CSV},
            "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": {"file": FILE}}},
        },
    }
}
PROBLEM = {"model": ProblemEntry, "content": {"application/problem+json": {}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {**PROBLEM, "description": description}
    for status, description in {
        401: "No key, or not a valid one",
        413: "More bytes than the limit",
        415: "A body of another kind",
        422: "Faults in the transactions, by row and column",
        503: "Nothing can be scored now; Retry-After says when to try again",
        504: "The model server did not answer in time",
    }.items()
}
LABEL_PROBLEMS: dict[int | str, dict[str, Any]] = {
    **{status: entry for status, entry in PROBLEMS.items() if status != HTTPStatus.GATEWAY_TIMEOUT},
    409: {**PROBLEM, "description": "Transactions are not remembered here"},
    422: {**PROBLEM, "description": "Faults in the labels, by row and column"},
    503: {**PROBLEM, "description": "Redis does not take all of them now; send the same again after Retry-After"},
}

"""What /docs shows: the shapes of requests and answers, with examples that work on the default model.

Nothing is validated by these: a request is read by `contract`, whose columns are the live version's, not this file's.
"""

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


class FileReply(BaseModel):
    """One file of a batch: its answer, or its problem."""

    file: str
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

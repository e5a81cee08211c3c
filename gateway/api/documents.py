"""What /docs shows: the shapes of requests and answers.

Nothing is validated by these: a request is read by `contract`. What a transaction is, the live version says: its
columns are put in their places when the document is asked for (`gateway.api.openapi`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.notes import NoteCode
from gateway.http import problems
from gateway.http.problems import Problem

FILE = {"type": "string", "format": "binary", "contentMediaType": "text/csv"}
TRANSACTION, TRANSACTIONS, LABEL, LABELS = (
    {"$ref": f"#/components/schemas/{name}"} for name in ("Transaction", "Transactions", "Label", "Labels")
)
"""By the live version's columns."""
TRANSACTIONS_CSV, LABELS_CSV = {"schema": TRANSACTIONS}, {"schema": LABELS}
"""A header and a row for each; how that looks, the document says."""


class FaultEntry(BaseModel):
    """Where an input is at fault, and how; never what it says."""

    row: int | None = Field(description="Number of the data row, from 1; null for the header or the whole input.")
    column: str | None = Field(description="Name of the column; #3 is the third, where its name is unknown.")
    code: str = Field(examples=["not_a_number"])
    hint: str | None = Field(None, description="What was expected, what was seen, and which setting decides.")


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


class NoteEntry(BaseModel):
    """What is odd about rows that were scored all the same; never what they say."""

    code: NoteCode
    column: str
    count: int = Field(description="Rows that it is about.")
    share: float = Field(ge=0, le=1, description="Of the rows that were scored.")


class ScoreReply(BaseModel):
    """The answer for a file or a list of transactions."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model_version": 1,
                "rows": 1,
                "flagged": 1,
                "notes": [],
                "predictions": [
                    {"row": 1, "id": "tx-1001", "fraud_probability": 0.0374, "decision": "review", "model_version": 1}
                ],
            }
        }
    )
    model_version: int = Field(description="The live version of this request.")
    rows: int = Field(description="Rows received, skipped ones included.")
    flagged: int = Field(description="Rows that are not approved.")
    notes: list[NoteEntry] = Field(description="What is odd about the rows; empty in the usual case.")
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


class StatusReply(BaseModel):
    """That it is well."""

    status: str


class HealthReply(BaseModel):
    """The state of each part."""

    status: Literal["healthy", "degraded", "unhealthy"]
    model_status: str
    disk_usage: float = Field(description="Share of the disk in use, 0 to 100.")
    memory_usage: float = Field(description="Share of the memory in use, 0 to 100.")
    components: dict[str, Any]


def _form(field: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A form with files under this name."""
    disposition = f'form-data; name="{field}"; filename="transactions.csv"'
    named = {"Content-Disposition": {"schema": {"type": "string", "example": disposition}}}
    return {
        "schema": {"type": "object", "required": [field], "properties": {field: schema}},
        "encoding": {field: {"contentType": "text/csv", "headers": named}},
    }


def _body(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


FILE_FORM = _form("file", FILE)
UPLOAD_BODY = _body({"multipart/form-data": FILE_FORM, "text/csv": TRANSACTIONS_CSV})
BATCH_BODY = _body({"multipart/form-data": _form("files", {"type": "array", "items": FILE, "minItems": 1})})
SCORE_BODY = _body({"application/json": {"schema": {"oneOf": [TRANSACTION, TRANSACTIONS]}}})
LABELS_BODY = _body(
    {
        "application/json": {"schema": {"oneOf": [LABEL, LABELS]}},
        "text/csv": LABELS_CSV,
        "multipart/form-data": FILE_FORM,
    }
)

Responses = dict[int | str, dict[str, Any]]
PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemEntry"}}}
TEXT_CONTENT = {"schema": {"type": "string"}}
HEADERS = {
    "X-Request-ID": {"description": "What the request is logged under.", **TEXT_CONTENT},
    "Retry-After": {"description": "Seconds after which to try again.", **TEXT_CONTENT},
    "WWW-Authenticate": {"description": "What is asked for.", **TEXT_CONTENT},
    "X-Notes": {"description": "Of a CSV answer: the codes of its notes, each with its rows.", **TEXT_CONTENT},
    "X-Degraded": {"description": "Of a CSV answer: `history`, where it could not be had or kept.", **TEXT_CONTENT},
}
ALWAYS_POSSIBLE = (
    problems.NotHttp, problems.TargetTooLong, problems.HeadTooLarge, problems.TooLarge, problems.Unexpected,
    problems.OutOfMemory, problems.DiskFull,
)  # fmt: skip
"""Whatever is asked for may meet these: a body may be announced with any request."""
READING = (problems.NotAuthorised, problems.TooSlow, problems.NotSupported, problems.NotScorable)
SCORING = (
    *READING, problems.BadParameter, problems.Busy, problems.NoModel, problems.ModelServerDown,
    problems.ModelServerWrong, problems.DeadlineExceeded,
)  # fmt: skip
LABELLING = (
    *READING, problems.NotLabels, problems.BadParameter, problems.NotRemembered, problems.Busy, problems.NoModel,
    problems.LabelsNotTaken,
)  # fmt: skip
CHECKING = (*READING, problems.Busy, problems.NoModel)
DESCRIBING = (problems.NotAuthorised, problems.NoModel)
READINESS = (
    problems.NoModel, problems.ModelServerDown, problems.ModelServerWrong, problems.DeadlineExceeded,
    problems.Draining, problems.HistoryLoading, problems.ProcessNotReady,
)  # fmt: skip


def answers(success: Mapping[str, Any], *kinds: type[Problem], headers: Sequence[str] = ()) -> Responses:
    """What an operation answers, by status: success, its problems, and those of every operation."""
    by_status: dict[int, list[Problem]] = {}
    for problem in [kind() for kind in (*kinds, *ALWAYS_POSSIBLE)]:
        by_status.setdefault(int(problem.status), []).append(problem)
    responses: Responses = {200: {**success, "headers": _headers(headers)}}
    return responses | {status: _refusal(by_status[status]) for status in sorted(by_status)}


def _refusal(possible: Sequence[Problem]) -> dict[str, Any]:
    return {
        "description": "\n".join(f"- `{problem.code}`: {problem.__doc__}" for problem in possible),
        "headers": _headers({name for problem in possible for name in problem.headers}),
        "content": PROBLEM_CONTENT,
    }


def _headers(names: Collection[str]) -> dict[str, Any]:
    return {name: header for name, header in HEADERS.items() if name in {"X-Request-ID", *names}}


HEALTH = answers({"model": HealthReply})
HEALTH[503]["description"] += "\n- Nothing can be scored: the report says why."
HEALTH[503]["content"] = PROBLEM_CONTENT | {
    "application/json": {"schema": {"$ref": "#/components/schemas/HealthReply"}},
}
METRICS = answers({"content": {"text/plain": {"schema": {"type": "string"}}}})

"""The paths: each reads, calls one collaborator, and replies."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import RedirectResponse, Response

from gateway.api import documents as doc
from gateway.api.replies import as_csv, as_json, json_fragment, labels_json, prefers_csv, to_json
from gateway.http.problems import problem_of, problem_response
from gateway.labels.reading import json_labels
from gateway.logs import log
from gateway.models.score_result import ScoreResult
from gateway.requests.payload import INLINE_BYTES, OnError, Payload, csv_payload
from gateway.requests.transactions import JSON_TYPES, parse_transactions, require_json
from gateway.requests.uploads import Upload, media_type, require_csv, require_form
from gateway.scoring import ScoreOptions
from gateway.services import Services

router = APIRouter()
# The middleware checks the key before the body is read; this only tells OpenAPI that there is one.
KEY = [Depends(APIKeyHeader(name="X-API-Key", auto_error=False))]
JSON = "application/json"
FILES_AT_A_TIME = 4
"""Of one batch: small ones gain from it what one of them waits for the model server."""


async def services(request: Request) -> Services:  # async: FastAPI would run a plain function in a thread
    """The collaborators that `create_app` made."""
    found: Services = request.state.services
    return found


async def wish(on_error: OnError = OnError.REFUSE, record: bool = True) -> ScoreOptions:
    """How an input is to be scored: `record=false` leaves no trace of it."""
    return ScoreOptions(on_error, record)


Parts = Annotated[Services, Depends(services)]
Wished = Annotated[ScoreOptions, Depends(wish)]
SCORED = doc.answers({"model": doc.ScoreReply}, *doc.SCORING)
UPLOADED = doc.answers(
    {"model": doc.ScoreReply, "content": {"text/csv": {"schema": {"type": "string"}}}},
    *doc.SCORING,
    headers=["X-Degraded"],
)


@router.post("/upload", responses=UPLOADED, openapi_extra=doc.UPLOAD_BODY, dependencies=KEY, tags=["score"])
async def upload(request: Request, parts: Parts, wish: Wished) -> Response:
    """Scores a CSV file; `Accept: text/csv` answers the file itself with columns added."""
    require_csv(media_type(request))
    async with parts.timed(), parts.uploads.received(request) as body, parts.uploads.slot(body):
        file = await parts.uploads.read_file(request, body)
        scored = await parts.scorer.score_csv(file.body, wish)
        return await parts.sending.budgeted(request, await _reply(parts, request, scored, file))


@router.post(
    "/predict/batch",
    responses=doc.answers({"model": doc.BatchReply}, *doc.SCORING),
    openapi_extra=doc.BATCH_BODY,
    dependencies=KEY,
    tags=["score"],
)
async def predict_batch(request: Request, parts: Parts, wish: Wished) -> Response:
    """Scores several CSV files at once; one that is at fault does not spoil the others."""
    require_form(media_type(request))
    async with parts.timed(), parts.uploads.received(request) as body, parts.uploads.slot(body):
        some, files = asyncio.Semaphore(FILES_AT_A_TIME), await parts.uploads.read_files(request, body)
        answers = await asyncio.gather(*(_file_answer(parts, file, wish, some) for file in files))
        answer = Response(await asyncio.to_thread(to_json, {"files": answers}), media_type=JSON)
        return await parts.sending.budgeted(request, answer)


@router.post("/v1/score", responses=SCORED, openapi_extra=doc.SCORE_BODY, dependencies=KEY, tags=["score"])
async def score(request: Request, parts: Parts, wish: Wished) -> Response:
    """Scores one transaction or a list."""
    require_json(media_type(request))
    async with parts.timed(), parts.uploads.received(request) as body, parts.uploads.slot(body):
        return await parts.sending.budgeted(request, await _scored_json(parts, body, wish))


@router.post(
    "/v1/labels",
    responses=doc.answers({"model": doc.LabelsReply}, *doc.LABELLING),
    openapi_extra=doc.LABELS_BODY,
    dependencies=KEY,
    tags=["labels"],
)
async def labels(request: Request, parts: Parts, on_error: OnError = OnError.REFUSE) -> Response:
    """Takes what has become known of transactions: fraud or not, as CSV or JSON."""
    kind = media_type(request)
    if kind not in JSON_TYPES:
        require_csv(kind)
    async with parts.uploads.received(request) as body, parts.uploads.slot(body):
        given = await _labels_input(parts, request, body)
        taken = await parts.labels.take(given, on_error)
        answer = Response(await given.work(labels_json, taken), media_type=JSON)
        return await parts.sending.budgeted(request, answer)


@router.get(
    "/v1/contract",
    responses=doc.answers({"model": doc.ContractReply}, *doc.DESCRIBING),
    dependencies=KEY,
    tags=["model"],
)
async def contract(parts: Parts) -> Response:
    """The live version, and the columns and bounds that it expects."""
    return Response(to_json(parts.contract_fields()), media_type=JSON)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, parts: Parts) -> Response:
    """What can be asked, and the columns of the live version."""
    return Response(parts.openapi.document(request.app.openapi()), media_type=JSON)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The same for a person, as a page that a public network draws."""
    return get_swagger_ui_html(openapi_url="/openapi.json", title=request.app.title)


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Leads a browser to the documentation."""
    return RedirectResponse("/docs")


@router.head("/livez", include_in_schema=False)
@router.get("/livez", responses=doc.answers({"model": doc.StatusReply}), tags=["operate"])
async def livez() -> dict[str, str]:
    """Whether this process answers; by HEAD too, with which some load balancers probe."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=doc.answers({"model": doc.StatusReply}, *doc.READINESS), tags=["operate"])
async def readyz(parts: Parts) -> Response:
    """Whether the live version scores its golden rows as training did, and this gateway stays."""
    problem = await parts.health.unready()
    return problem_response(problem) if problem else Response(to_json({"status": "ready"}), media_type=JSON)


@router.get("/health", responses=doc.HEALTH, tags=["operate"])
async def health(parts: Parts) -> Response:
    """The state of every part; 503 when nothing can be scored."""
    healthy, report = await parts.health.report()
    return Response(to_json(report), 200 if healthy else 503, media_type=JSON)


@router.get("/metrics", responses=doc.METRICS, response_class=Response, tags=["operate"])
async def metrics(parts: Parts) -> Response:
    """Prometheus metrics."""
    return Response(parts.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _reply(parts: Services, request: Request, scored: ScoreResult, file: Upload) -> Response:
    with parts.metrics.stage("reply"):
        if prefers_csv(request.headers.get("accept", "")):
            body = await asyncio.to_thread(as_csv, scored, file.body)
            headers = {"X-Degraded": ",".join(scored.degraded)} if scored.degraded else None
            return Response(body, headers=headers, media_type="text/csv; charset=utf-8")
        return Response(await asyncio.to_thread(as_json, scored), media_type=JSON)


async def _labels_input(parts: Services, request: Request, body: bytearray) -> Payload:
    if media_type(request) not in JSON_TYPES:
        return csv_payload((await parts.uploads.read_file(request, body)).body)
    if len(body) <= INLINE_BYTES:
        return json_labels(parse_transactions(body, parts.settings.max_transactions))
    return json_labels(await asyncio.to_thread(parse_transactions, body, parts.settings.max_transactions))


async def _scored_json(parts: Services, body: bytearray, wish: ScoreOptions) -> Response:
    most = parts.settings.max_transactions
    if len(body) <= INLINE_BYTES:
        scored = await parts.scorer.score_json(parse_transactions(body, most), wish)
        return Response(as_json(scored), media_type=JSON)
    transactions = await asyncio.to_thread(parse_transactions, body, most)
    scored = await parts.scorer.score_json(transactions, wish)
    return Response(await asyncio.to_thread(as_json, scored), media_type=JSON)


async def _file_answer(parts: Services, file: Upload, wish: ScoreOptions, some: asyncio.Semaphore) -> dict[str, Any]:
    """The answer or the problem of one file, whatever becomes of the others: a defect that it meets is its own."""
    try:
        async with some:
            return {"file": file.name, "status": 200, "result": await _file_result(parts, file, wish)}
    except Exception as error:  # noqa: BLE001 - the last place where a defect can become this file's answer alone
        problem = problem_of(error)
        if problem is not error:
            log.error("file failed", exc_info=error)
        return {"file": file.name, "status": int(problem.status), "problem": problem.to_json()}


async def _file_result(parts: Services, file: Upload, wish: ScoreOptions) -> orjson.Fragment:
    if file.problem:
        raise file.problem
    scored = await parts.scorer.score_csv(file.body, wish)
    return await asyncio.to_thread(json_fragment, scored)

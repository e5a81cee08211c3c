"""The paths: each reads, calls one collaborator, and replies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import APIKeyHeader
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import RedirectResponse, Response

from contract.file_check import FileCheck, check_file
from contract.schema import Others
from gateway.api import documents as doc
from gateway.api.csv_answer import as_csv
from gateway.api.replies import as_json, contract_json, labels_json, prefers_csv, to_json
from gateway.http.problems import NotScorable, problem_of, problem_response
from gateway.labels.parsing import json_labels
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


async def get_services(request: Request) -> Services:  # async: FastAPI would run a plain function in a thread
    """The collaborators that `create_app` made."""
    services: Services = request.state.services
    return services


async def get_options(
    on_error: OnError = OnError.REFUSE, record: bool = True, columns: Others = Others.REFUSE
) -> ScoreOptions:
    """How an input is to be scored: `record=false` leaves no trace of it, `columns=ignore` ignores unknown columns."""
    return ScoreOptions(on_error, record, columns)


InjectedServices = Annotated[Services, Depends(get_services)]
Options = Annotated[ScoreOptions, Depends(get_options)]
SCORED = doc.answers({"model": doc.ScoreReply}, *doc.SCORING)
UPLOADED = doc.answers(
    {"model": doc.ScoreReply, "content": {"text/csv": {"schema": {"type": "string"}}}},
    *doc.SCORING,
    headers=["X-Degraded", "X-Notes"],
)


@router.post("/upload", responses=UPLOADED, openapi_extra=doc.UPLOAD_BODY, dependencies=KEY, tags=["score"])
async def upload(request: Request, services: InjectedServices, options: Options) -> Response:
    """Scores a CSV file; `Accept: text/csv` answers the file itself with columns added."""
    require_csv(media_type(request))
    async with body_to_score(services, request) as body:
        file = await services.uploads.read_file(request, body)
        payload = csv_payload(file.body, options.columns)
        result = await services.scorer.score(payload, options)
        answer = await _reply(services, request, result, payload, file)
        return await services.response_budget.reserve(request, answer)


@router.post(
    "/predict/batch",
    responses=doc.answers({"model": doc.BatchReply}, *doc.SCORING),
    openapi_extra=doc.BATCH_BODY,
    dependencies=KEY,
    tags=["score"],
)
async def predict_batch(request: Request, services: InjectedServices, options: Options) -> Response:
    """Scores several CSV files at once; one that is at fault does not spoil the others."""
    require_form(media_type(request))
    async with body_to_score(services, request) as body:
        limit, files = asyncio.Semaphore(FILES_AT_A_TIME), await services.uploads.read_files(request, body)
        answers = await asyncio.gather(*(_file_answer(services, file, options, limit) for file in files))
        answer = Response(await asyncio.to_thread(to_json, {"files": answers}), media_type=JSON)
        return await services.response_budget.reserve(request, answer)


@router.post("/v1/score", responses=SCORED, openapi_extra=doc.SCORE_BODY, dependencies=KEY, tags=["score"])
async def score(request: Request, services: InjectedServices, options: Options) -> Response:
    """Scores one transaction or a list."""
    kind = media_type(request)
    require_json(kind)
    async with body_to_score(services, request) as body:
        return await services.response_budget.reserve(request, await _scored_json(services, body, kind, options))


def _fast_score(options: ScoreOptions) -> Callable[[Request, bytes], Awaitable[Response]]:
    async def handler(request: Request, body: bytes) -> Response:
        services: Services = request.state.services
        kind = media_type(request)
        require_json(kind)
        with services.metrics.request_latency(), services.uploads.reserve_small() as reservation:
            await reservation.acquire(len(body))
            return await services.response_budget.reserve(request, await _scored_json(services, body, kind, options))

    return handler


FAST_PATH: Mapping[tuple[str, str, bytes], Callable[[Request, bytes], Awaitable[Response]]] = {
    ("POST", "/v1/score", query): _fast_score(options)
    for query, options in {
        b"": ScoreOptions(),
        b"on_error=skip": ScoreOptions(on_error=OnError.SKIP),
        b"record=false": ScoreOptions(record=False),
    }.items()
}
"""The requests that are most in number, by method, path and query: as their route answers them, around FastAPI."""


@router.post(
    "/v1/labels",
    responses=doc.answers({"model": doc.LabelsReply}, *doc.LABELLING),
    openapi_extra=doc.LABELS_BODY,
    dependencies=KEY,
    tags=["labels"],
)
async def labels(
    request: Request,
    services: InjectedServices,
    on_error: OnError = OnError.REFUSE,
    columns: Others = Others.REFUSE,
) -> Response:
    """Takes what has become known of transactions: fraud or not, as CSV or JSON; `columns=ignore` ignores others."""
    kind = media_type(request)
    if kind not in JSON_TYPES:
        require_csv(kind)
    async with services.uploads.received(request) as received, services.uploads.slot(received):
        body = await services.uploads.unpacked(request, received)
        payload = await _labels_payload(services, request, body, columns)
        receipt = await services.labels.receive(payload, on_error)
        answer = Response(await payload.work(labels_json, receipt), media_type=JSON)
        return await services.response_budget.reserve(request, answer)


@router.post(
    "/v1/check",
    responses=doc.answers({"model": FileCheck}, *doc.CHECKING),
    openapi_extra=doc.UPLOAD_BODY,
    dependencies=KEY,
    tags=["score"],
)
async def check(request: Request, services: InjectedServices) -> Response:
    """Says what would be read of a file, column by column; nothing of it is scored or kept."""
    require_csv(media_type(request))
    model = services.tracker.model
    async with body_to_score(services, request) as body:
        file = await services.uploads.read_file(request, body)
        found = await csv_payload(file.body).work(check_file, model.contract, file.body)
        if found.problem:
            raise NotScorable(found.problem)
        return await services.response_budget.reserve(request, Response(to_json(found), media_type=JSON))


@router.get(
    "/v1/contract",
    responses=doc.answers({"model": doc.ContractReply}, *doc.DESCRIBING),
    dependencies=KEY,
    tags=["model"],
)
async def contract(services: InjectedServices) -> Response:
    """The live version, and the columns and bounds that it expects."""
    return Response(contract_json(services.tracker.model), media_type=JSON)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request, services: InjectedServices) -> Response:
    """What can be asked, and the columns of the live version."""
    return Response(services.openapi.document(request.app.openapi()), media_type=JSON)


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
async def readyz(services: InjectedServices) -> Response:
    """Whether the live version scores its golden rows as training did, and this gateway stays."""
    problem = await services.health.unready()
    return problem_response(problem) if problem else Response(to_json({"status": "ready"}), media_type=JSON)


@router.get("/health", responses=doc.HEALTH, tags=["operate"])
async def health(services: InjectedServices) -> Response:
    """The state of every part; 503 when nothing can be scored."""
    healthy, report = await services.health.report()
    return Response(to_json(report), 200 if healthy else 503, media_type=JSON)


@router.get("/metrics", responses=doc.METRICS, response_class=Response, tags=["operate"])
async def metrics(services: InjectedServices) -> Response:
    """Prometheus metrics."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def body_to_score(services: Services, request: Request) -> AsyncIterator[bytearray]:
    """The whole body once it may be scored; its latency is observed until its answer is ready, or it has failed."""
    with services.metrics.request_latency():
        async with services.uploads.received(request) as body, services.uploads.slot(body):
            yield await services.uploads.unpacked(request, body)


async def _reply(services: Services, request: Request, result: ScoreResult, payload: Payload, file: Upload) -> Response:
    with services.metrics.stage("reply"):
        if prefers_csv(request.headers.get("accept", "")):
            body = await payload.work(as_csv, result, file.body)
            return Response(body, headers=_csv_headers(result), media_type="text/csv; charset=utf-8")
        return Response(await payload.work(as_json, result), media_type=JSON)


def _csv_headers(result: ScoreResult) -> dict[str, str]:
    """What JSON says beside the predictions, as far as there is any."""
    headers = {"X-Degraded": ",".join(result.degraded)} if result.degraded else {}
    counts = Counter[str]()
    for note in result.noted.notes:
        counts[note.code] += note.count
    return headers | ({"X-Notes": ", ".join(f"{code}={count}" for code, count in counts.items())} if counts else {})


async def _labels_payload(services: Services, request: Request, body: bytearray, columns: Others) -> Payload:
    if media_type(request) not in JSON_TYPES:
        return csv_payload((await services.uploads.read_file(request, body)).body, columns)
    return json_labels(await _objects(services, body, media_type(request)), columns)


async def _scored_json(services: Services, body: bytes | bytearray, kind: str, options: ScoreOptions) -> Response:
    result = await services.scorer.score_objects(await _objects(services, body, kind), options)
    answer = as_json(result) if len(body) <= INLINE_BYTES else await asyncio.to_thread(as_json, result)
    return Response(answer, media_type=JSON)


async def _objects(services: Services, body: bytes | bytearray, kind: str) -> Sequence[object]:
    """The objects of a JSON body of this media type."""
    arguments = body, services.settings.max_transactions, kind
    if len(body) <= INLINE_BYTES:
        return parse_transactions(*arguments)
    return await asyncio.to_thread(parse_transactions, *arguments)


async def _file_answer(
    services: Services, file: Upload, options: ScoreOptions, limit: asyncio.Semaphore
) -> dict[str, Any]:
    """The answer or the problem of one file, whatever becomes of the others: a defect that it meets is its own."""
    try:
        async with limit:
            return {"file": file.name, "status": 200, "result": await _file_result(services, file, options)}
    except Exception as error:  # noqa: BLE001 - the last place where a defect can become this file's answer alone
        problem = problem_of(error)
        if problem is not error:
            log.error("file failed", exc_info=error)
        return {"file": file.name, "status": int(problem.status), "problem": problem.to_json()}


async def _file_result(services: Services, file: Upload, options: ScoreOptions) -> orjson.Fragment:
    if file.problem:
        raise file.problem
    payload = csv_payload(file.body, options.columns)
    result = await services.scorer.score(payload, options)
    # Written by itself: what cannot be written spoils no other file's answer.
    return orjson.Fragment(await payload.work(as_json, result))

"""The composition root: opens connections, makes every collaborator, starts background work, and builds the app.

It is the one module that knows all others, and it does nothing else.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis
from starlette.middleware import Middleware

from gateway.api.error_handlers import ERROR_HANDLERS
from gateway.api.health import Health
from gateway.api.openapi import OpenApi
from gateway.api.routes import router
from gateway.background import running
from gateway.drain import Drain
from gateway.history import journal_recovery
from gateway.history.answer_writer import AnswerWriter
from gateway.history.features import History
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.http.auth import ApiKeyMiddleware
from gateway.http.body_limit import BodyLimitMiddleware
from gateway.http.observation import ObservationMiddleware
from gateway.http.refusal import RefusalMiddleware
from gateway.http.response_budget import ResponseBudget
from gateway.labels import metrics_reader
from gateway.labels.receiving import LabelReceiver
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient, connect_model_server
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.proving import PROOF_CONNECTIONS, Prover
from gateway.models.release_record import RecordSource, connect_record
from gateway.models.retry_budget import RetryBudget
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.redis.connection import connect_redis
from gateway.redis.transports import RedisTransports, open_transports
from gateway.requests.uploads import Uploads
from gateway.scoring import Scorer, TrialServices
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.trial.canary_calls import CanaryCalls
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Shadow
from gateway.warm_up import WarmUp
from history.session import HistoryOptions

BATCH_PATH = "/predict/batch"
REDIS_TIMEOUT_SECONDS = 1.0
"""For every call to Redis that is not about a transaction: /health, trial counts, label counts. A busy Redis must not
pause a trial; redis-py's own default waited 58 s for a frozen one."""


@dataclass(frozen=True, slots=True)
class _Connections:
    """Connections, apart from each other: a version on trial that hangs must not hold up the live one.

    Proofs have their own too, or a busy gateway would look like a sick one.

    Attributes:
        redis: for all that is not about a transaction; None without Redis.
        transports: how transactions get to Redis; None without Redis.
        record: where the release record is.
    """

    live: InferenceClient
    proofs: InferenceClient
    trial: InferenceClient
    redis: Redis | None
    transports: RedisTransports | None
    record: RecordSource


@dataclass(frozen=True, slots=True)
class _Models:
    """Which versions are used, and how they are called."""

    tracker: ModelTracker
    calls: ModelCalls
    trial: TrialServices


@dataclass(frozen=True, slots=True)
class _History:
    """What is kept in Redis, and who keeps it."""

    options: HistoryOptions
    answers: AnswerWriter
    key_monitor: KeyMonitor
    monitor: HistoryMonitor
    history: History


def create_app(
    settings: GatewaySettings, transport: httpx.AsyncBaseTransport | None = None, drain: Drain | None = None
) -> FastAPI:
    """The gateway, ready to be served.

    Args:
        settings: of this deployment.
        transport: replaces the network to the model server.
        drain: how the server that runs the app tells it that it shuts down.
    """
    metrics, drain = Metrics(), drain or Drain()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Services]]:
        async with _open_services(settings, metrics, transport, drain) as services:
            yield {"services": services}

    app = FastAPI(
        title="Fraud Detection API",
        description="A calibrated probability of fraud and a decision for every transaction.",
        version=version("fraud-detection-api"),
        lifespan=lifespan,
        openapi_url=None,  # The routes have their own: it tells the columns of the live version.
        redirect_slashes=False,  # A redirect would repeat the caller's host and query.
        middleware=_middleware(settings, metrics),
        exception_handlers=ERROR_HANDLERS,
    )
    app.include_router(router)
    return app


def _middleware(settings: GatewaySettings, metrics: Metrics) -> list[Middleware]:
    """From the outside in: observed, then refused where it is no HTTP, then authorised, then bounded."""

    def limit(path: str) -> int:
        return settings.max_batch_bytes if path == BATCH_PATH else settings.max_upload_bytes

    paths = frozenset(route.path for route in router.routes if hasattr(route, "path"))
    return [
        Middleware(ObservationMiddleware, metrics=metrics, routes=paths),
        Middleware(RefusalMiddleware),
        Middleware(ApiKeyMiddleware, keys=settings.api_keys),
        Middleware(BodyLimitMiddleware, limit=limit),
    ]


@asynccontextmanager
async def _open_services(
    settings: GatewaySettings, metrics: Metrics, transport: httpx.AsyncBaseTransport | None, drain: Drain
) -> AsyncIterator[Services]:
    """What routes call, with open connections and running background work; all of it ends with the context."""
    async with AsyncExitStack() as stack:
        connections = await _open_connections(stack, settings, metrics, transport)
        models = _make_models(settings, metrics, connections)
        history = _make_history(settings, metrics, connections, models.tracker)
        stack.push_async_callback(models.trial.shadow.close)
        await history.key_monitor.check()  # Before the first request: an empty Redis has no key yet.
        await _start_background(stack, metrics, connections, models, history)
        stack.push_async_callback(history.history.close)
        yield _make_services(settings, metrics, drain, connections, models, history)


async def _open_connections(
    stack: AsyncExitStack, settings: GatewaySettings, metrics: Metrics, transport: httpx.AsyncBaseTransport | None
) -> _Connections:
    async def inference_client(connections: int, retries: RetryBudget | None = None) -> InferenceClient:
        client = await stack.enter_async_context(connect_model_server(settings, transport, connections))
        return InferenceClient(client, settings.model_name, settings.block_rows, connections, retries)

    connections, redis, transports = settings.model_server_connections, None, None
    if settings.redis_url is not None:
        redis = connect_redis(settings.redis_url, REDIS_TIMEOUT_SECONDS)
        stack.push_async_callback(redis.aclose)
        # Each file may read and write at once.
        timeout, threads = settings.history_timeout_seconds, 2 * settings.upload_slots
        transports = await stack.enter_async_context(
            open_transports(settings.redis_url, threads, timeout, settings.key)
        )
    return _Connections(
        live=await inference_client(connections, RetryBudget(metrics.model_retries.inc)),
        # A proof must not look better than the server is, and a trial fails towards the live version: no retries.
        proofs=await inference_client(PROOF_CONNECTIONS),
        trial=await inference_client(connections),
        redis=redis,
        transports=transports,
        record=await stack.enter_async_context(connect_record(settings.release_record)),
    )


def _make_models(settings: GatewaySettings, metrics: Metrics, connections: _Connections) -> _Models:
    counts = TrialCountsWriter(connections.redis)
    prover = Prover(settings, connections.proofs)
    tracker = ModelTracker(connections.record, settings.follow_seconds, prover, counts, metrics)
    calls = ModelCalls(tracker, connections.live, metrics)
    trial_calls = ModelCalls(tracker, connections.trial, metrics)
    canary_calls = CanaryCalls(trial_calls, tracker, max(1, settings.upload_slots // 2))
    shadow = Shadow(trial_calls, counts, settings.deadline_seconds)
    return _Models(tracker, calls, TrialServices(CanaryRouter(calls, canary_calls), shadow, counts))


def _make_history(
    settings: GatewaySettings, metrics: Metrics, connections: _Connections, tracker: ModelTracker
) -> _History:
    options = settings.history_options
    answers = AnswerWriter(connections.redis, options.known_seconds)
    key_monitor = KeyMonitor(connections.redis, options.key)
    monitor = HistoryMonitor(connections.redis, key_monitor, tracker, metrics, record=options.record)
    history = History(connections.transports, monitor, options, answers, metrics, key_monitor)
    return _History(options, answers, key_monitor, monitor, history)


async def _start_background(
    stack: AsyncExitStack, metrics: Metrics, connections: _Connections, models: _Models, history: _History
) -> None:
    for work in (
        models.tracker.follow(),
        models.trial.counts.write_periodically(),
        history.answers.write_periodically(),
        metrics_reader.read_periodically(connections.redis, metrics),
        history.key_monitor.check_periodically(),
        history.monitor.check_periodically(),
        journal_recovery.recover_periodically(connections.redis),
    ):
        await stack.enter_async_context(running(work))


def _make_services(  # noqa: PLR0913, PLR0917 - every part of the gateway meets here
    settings: GatewaySettings,
    metrics: Metrics,
    drain: Drain,
    connections: _Connections,
    models: _Models,
    history: _History,
) -> Services:
    tracker, redis = models.tracker, connections.redis
    warm_up = WarmUp(tracker, history.history, connections.live, metrics)
    storage = settings.log_file.parent if settings.log_file else Path.cwd()
    return Services(
        settings=settings,
        metrics=metrics,
        tracker=tracker,
        labels=LabelReceiver(tracker, redis, history.options.key, settings.deadline_seconds),
        scorer=Scorer(tracker, history.history, models.calls, models.trial, metrics, settings.deadline_seconds),
        uploads=Uploads(settings, metrics),
        response_budget=ResponseBudget(settings.answer_bytes),
        openapi=OpenApi(tracker, settings.max_transactions, settings.max_batch_files),
        health=Health(tracker, redis, history.key_monitor, history.monitor, storage, drain, warm_up),
    )

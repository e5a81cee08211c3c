"""The composition root: opens connections, makes every collaborator, starts background work, and builds the app.

It is the one module that knows all others, and it does nothing else.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis
from starlette.middleware import Middleware

from gateway.api.error_handlers import ERROR_HANDLERS
from gateway.api.health import Health
from gateway.api.joint_health import JointHealth
from gateway.api.openapi import OpenApi
from gateway.api.routes import FAST_PATH, router
from gateway.background import running
from gateway.drain import Drain
from gateway.history import forgetting, journal_recovery, plan_registration
from gateway.history.answer_writer import AnswerWriter
from gateway.history.fetching import History
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.http.auth import ApiKeyMiddleware
from gateway.http.body_limit import BodyLimitMiddleware
from gateway.http.fast_path import FastPathMiddleware
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
from gateway.models.recent_calls import RecentCalls
from gateway.models.release_record import RecordSource, connect_record
from gateway.models.retry_budget import RetryBudget
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.processes.states import ProcessStates
from gateway.redis.connection import connect_redis
from gateway.redis.transports import RedisTransports, open_transports
from gateway.requests.payload import INLINE_BYTES
from gateway.requests.uploads import MEDIUM_SLOTS, Uploads
from gateway.scoring import Scorer, TrialServices
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.trial.canary_calls import CanaryCalls
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Shadow
from gateway.warm_up import warm_up

BATCH_PATH = "/predict/batch"
RECENT_CALLS = "recent_calls"
"""A file that the processes of a gateway share."""
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
    """

    live: InferenceClient
    proofs: InferenceClient
    trial: InferenceClient
    redis: Redis | None
    transports: RedisTransports | None
    record: RecordSource


def create_app(
    settings: GatewaySettings,
    transport: httpx.AsyncBaseTransport | None = None,
    drain: Drain | None = None,
    states: ProcessStates | None = None,
) -> FastAPI:
    """The gateway, ready to be served.

    Args:
        settings: of this deployment.
        transport: replaces the network to the model server.
        drain: how the server that runs the app tells it that it shuts down.
        states: of the processes that this one is one of; None where it is the only one.
    """
    metrics, drain = Metrics(), drain or Drain()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Services]]:
        async with _open_services(settings, metrics, transport, drain, states) as services:
            yield {"services": services}

    app = FastAPI(
        title="Fraud Detection API",
        description="A calibrated probability of fraud and a decision for every transaction.",
        version=version("fraud-detection-api"),
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # It asked for its providers at each request.
        openapi_url=None,  # The routes have their own: it tells the columns of the live version.
        redirect_slashes=False,  # A redirect would repeat the caller's host and query.
        middleware=_middleware(settings, metrics),
        exception_handlers=ERROR_HANDLERS,
    )
    app.include_router(router)
    return app


def _middleware(settings: GatewaySettings, metrics: Metrics) -> list[Middleware]:
    """From the outside in: observed; unless plain refused where it is no HTTP, then authorised, then bounded."""

    def limit(path: str) -> int:
        return settings.max_batch_bytes if path == BATCH_PATH else settings.max_upload_bytes

    inline_bytes = min(INLINE_BYTES, settings.max_upload_bytes)
    paths = frozenset(route.path for route in router.routes if hasattr(route, "path"))
    return [
        Middleware(ObservationMiddleware, metrics=metrics, routes=paths),
        Middleware(FastPathMiddleware, handlers=FAST_PATH, keys=settings.api_keys, max_bytes=inline_bytes),
        Middleware(RefusalMiddleware),
        Middleware(ApiKeyMiddleware, keys=settings.api_keys),
        Middleware(BodyLimitMiddleware, limit=limit),
    ]


@asynccontextmanager
async def _open_services(
    settings: GatewaySettings,
    metrics: Metrics,
    transport: httpx.AsyncBaseTransport | None,
    drain: Drain,
    states: ProcessStates | None,
) -> AsyncIterator[Services]:
    """What routes call, with open connections and running background work; all of it ends with the context."""
    async with AsyncExitStack() as stack:
        recent = RecentCalls(states.directory / RECENT_CALLS if states else None)
        connections = await _open_connections(stack, settings, metrics, transport, recent)
        redis, options, deadline = connections.redis, settings.history_options, settings.deadline_seconds
        counts, prover = TrialCountsWriter(redis), Prover(settings, connections.proofs)
        tracker = ModelTracker(connections.record, settings.follow_seconds, prover, counts, metrics)
        calls, trial_calls = (ModelCalls(tracker, each, metrics) for each in (connections.live, connections.trial))
        canary_calls = CanaryCalls(trial_calls, tracker, max(1, settings.upload_slots // 2))
        trial = TrialServices(CanaryRouter(calls, canary_calls), Shadow(trial_calls, counts, deadline), counts)
        answers, key_monitor = AnswerWriter(redis, options.known_seconds), KeyMonitor(redis, options.key)
        monitor = HistoryMonitor(redis, key_monitor, tracker, metrics, record=options.record)
        history = History(connections.transports, monitor, options, answers, metrics, key_monitor)
        stack.push_async_callback(trial.shadow.close)
        await key_monitor.check()  # Before the first request: an empty Redis has no key yet.
        recorded = redis if options.record else None
        for work in (
            tracker.follow,
            counts.write_periodically,
            answers.write_periodically,
            partial(metrics_reader.read_periodically, redis, metrics),
            key_monitor.check_periodically,
            monitor.check_periodically,
            partial(journal_recovery.recover_periodically, redis),
            partial(forgetting.forget_periodically, recorded, key_monitor, metrics),
            partial(plan_registration.register_periodically, recorded, key_monitor, tracker.plans),
        ):
            await stack.enter_async_context(running(work))
        stack.push_async_callback(history.close)
        warming_up = partial(warm_up, tracker, history, connections.live, metrics)
        scorer = Scorer(tracker, history, calls, trial, metrics, deadline)
        stack.push_async_callback(scorer.close)
        storage = settings.log_file.parent if settings.log_file else Path.cwd()
        health: Health | JointHealth
        health = own = Health(tracker, redis, key_monitor, monitor, storage, drain, warming_up)
        if states is not None:
            health = await stack.enter_async_context(_joined(own, states, metrics))
        yield Services(
            settings=settings,
            metrics=metrics,
            tracker=tracker,
            labels=LabelReceiver(tracker, redis, options.key, deadline),
            scorer=scorer,
            uploads=Uploads(settings, metrics),
            response_budget=ResponseBudget(settings.answer_bytes),
            openapi=OpenApi(tracker, settings.max_transactions, settings.max_batch_files),
            health=health,
        )


@asynccontextmanager
async def _joined(own: Health, states: ProcessStates, metrics: Metrics) -> AsyncIterator[JointHealth]:
    """The health of all processes, once this one is to take requests; it tells the others of itself meanwhile."""
    health = JointHealth(own, states, metrics)
    async with running(health.announce_periodically):
        await health.listen()
        yield health


async def _open_connections(
    stack: AsyncExitStack,
    settings: GatewaySettings,
    metrics: Metrics,
    transport: httpx.AsyncBaseTransport | None,
    recent: RecentCalls,
) -> _Connections:
    async def inference_client(
        connections: int, retries: RetryBudget | None = None, recent: RecentCalls | None = None
    ) -> InferenceClient:
        channel = await stack.enter_async_context(connect_model_server(settings, transport))
        return InferenceClient(channel, settings.model_name, settings.block_rows, connections, retries, recent)

    connections, redis, transports = settings.model_server_connections, None, None
    if settings.redis_url is not None:
        redis = connect_redis(settings.redis_url, REDIS_TIMEOUT_SECONDS)
        stack.push_async_callback(redis.aclose)
        # Each file may read and write at once.
        timeout, threads = settings.history_timeout_seconds, 2 * (settings.upload_slots + MEDIUM_SLOTS)
        transports = await stack.enter_async_context(
            open_transports(settings.redis_url, threads, timeout, settings.key)
        )
    return _Connections(
        live=await inference_client(connections, RetryBudget(metrics.model_retries.inc), recent),
        # A proof must not look better than the server is, and a trial fails towards the live version: no retries.
        proofs=await inference_client(PROOF_CONNECTIONS),
        trial=await inference_client(connections),
        redis=redis,
        transports=transports,
        record=await stack.enter_async_context(connect_record(settings.release_record)),
    )

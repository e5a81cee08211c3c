"""The one module that knows every other: it composes, and does nothing else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import TypedDict

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.asyncio import Redis
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from contract.faults import Fault, FaultCode
from gateway.api.routes import router
from gateway.background import running
from gateway.drain import Drain
from gateway.http.auth import ApiKeyMiddleware
from gateway.http.body_limit import BodyLimitMiddleware
from gateway.http.observation import ObservationMiddleware
from gateway.http.problems import BadParameter, Problem, Refused, problem_response
from gateway.http.refusal import RefusalMiddleware
from gateway.metrics import Metrics
from gateway.models.inference_client import connect_model_server
from gateway.models.proving import PROOFS
from gateway.models.release_record import connect_record
from gateway.redis.connection import connect_redis
from gateway.redis.transports import RedisTransports, open_transports
from gateway.services import REDIS_SECONDS, Clients, Services, make_services
from gateway.settings import Settings

BATCH_PATH = "/predict/batch"


class LifespanState(TypedDict):
    """What the lifespan hands to every request."""

    services: Services


def create_app(
    settings: Settings, transport: httpx.AsyncBaseTransport | None = None, drain: Drain | None = None
) -> FastAPI:
    """The gateway, ready to be served; `transport` replaces the network to the model server.

    `drain` is how the server that runs it says that it ends.
    """
    metrics, drain = Metrics(), drain or Drain()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[LifespanState]:
        async with running_services(settings, metrics, transport, drain) as services:
            yield {"services": services}

    app = FastAPI(
        title="Fraud Detection API",
        description="A calibrated probability of fraud and a decision for every transaction.",
        version=version("fraud-detection-api"),
        lifespan=lifespan,
        openapi_url=None,  # The routes have their own: it tells the columns of the live version.
        redirect_slashes=False,  # A redirect would repeat the caller's host and query.
        middleware=_middleware(settings, metrics),
        exception_handlers={
            Problem: _problem,
            HTTPException: _refused,
            RequestValidationError: _bad_parameter,
        },
    )
    app.include_router(router)
    return app


@asynccontextmanager
async def running_services(
    settings: Settings, metrics: Metrics, transport: httpx.AsyncBaseTransport | None, drain: Drain
) -> AsyncIterator[Services]:
    """The collaborators with their connections open, and the release record followed."""
    async with AsyncExitStack() as stack:
        scoring, probing, trying = [
            await stack.enter_async_context(connect_model_server(settings, transport, connections))
            for connections in (None, PROOFS, None)
        ]
        redis = await stack.enter_async_context(_redis(settings))
        record = await stack.enter_async_context(connect_record(settings.release_record))
        transports = await _transports(stack, settings)
        clients = Clients(scoring, probing, trying, redis, transports, record)
        services = make_services(settings, metrics, clients, drain)
        stack.push_async_callback(services.shadow.close)
        await services.agreement.ask()  # Before the first request: an empty Redis has no key yet.
        background = (
            services.live.follow(),
            services.tallies.write_periodically(),
            services.answers.keep_writing(),
        )
        asking = (services.label_counts.keep_reading(), services.agreement.keep_asking())
        looking = (services.history_watch.keep_looking(), services.settling.keep_settling())
        for work in (*background, *asking, *looking):
            await stack.enter_async_context(running(work))
        stack.push_async_callback(services.history.close)
        yield services


async def _transports(stack: AsyncExitStack, settings: Settings) -> RedisTransports | None:
    """Both transports, where a Redis is configured; each file may read and write at once."""
    if settings.redis_url is None:
        return None
    timeout, threads = settings.history_timeout_seconds, 2 * settings.upload_slots
    return await stack.enter_async_context(open_transports(settings.redis_url, threads, timeout, settings.key))


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """A client, where a Redis is configured."""
    client = connect_redis(settings.redis_url, REDIS_SECONDS) if settings.redis_url else None
    try:
        yield client
    finally:
        if client:
            await client.aclose()


def _middleware(settings: Settings, metrics: Metrics) -> list[Middleware]:
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


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)  # noqa: S101 - registered for this class alone
    return problem_response(problem)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    return problem_response(Refused(error.status_code, error.headers))


async def _bad_parameter(_: Request, error: Exception) -> Response:
    """FastAPI's own answer would repeat what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    names = [str(fault["loc"][-1]) for fault in error.errors()]
    return problem_response(BadParameter("", [Fault(None, name, FaultCode.NOT_AN_OPTION) for name in names]))

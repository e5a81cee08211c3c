"""The collaborators of the routes, made once."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from gateway.health import Health
from gateway.live import Live
from gateway.metrics import Metrics
from gateway.model_server import ModelServer
from gateway.scoring import Scorer
from gateway.settings import Settings
from gateway.uploads import Uploads

REDIS_SECONDS = 0.05
"""Redis is never worth more of a request's time: its default waited 58 s for a frozen server."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Connections to the model server; a probe has its own, or a busy gateway would look like a sick one."""

    scoring: httpx.AsyncClient
    probing: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Services:
    """What a route may call."""

    settings: Settings
    metrics: Metrics
    live: Live
    scorer: Scorer
    uploads: Uploads
    health: Health

    @asynccontextmanager
    async def timed(self) -> AsyncIterator[None]:
        """Observes the latency of a scoring request, whatever becomes of it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.metrics.latency(time.perf_counter() - started)

    def contract_fields(self) -> dict[str, Any]:
        """The live contract as a caller needs it."""
        model = self.live.model
        return {
            "model_version": model.version,
            "fingerprint": model.contract.fingerprint,
            "columns": [column.to_json() for column in model.contract.inputs],
            "decision_thresholds": asdict(model.bands),
        }


def make_services(settings: Settings, metrics: Metrics, clients: Clients, redis: Redis | None) -> Services:
    """Wires the collaborators."""
    server, prober = (
        ModelServer(client, settings.model_name, settings.block_rows, settings.model_server_connections)
        for client in (clients.scoring, clients.probing)
    )
    live = Live(settings, prober, metrics)
    return Services(
        settings=settings,
        metrics=metrics,
        live=live,
        scorer=Scorer(live, server, metrics, settings.deadline_seconds),
        uploads=Uploads(settings, metrics),
        health=Health(live, redis, settings.log_file.parent if settings.log_file else Path.cwd()),
    )


def connect_redis(url: str) -> Redis:
    """A client that gives up at once: nothing here needs Redis to score."""
    client: Redis = Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS, retry=None)
    return client

"""The collaborators of the routes, made once."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import redis as blocking
from redis.asyncio import Redis

from gateway.api.health import Health
from gateway.api.openapi import OpenApi
from gateway.background import running
from gateway.drain import Drain
from gateway.history.answers import Answers
from gateway.history.batch_writer import Roads
from gateway.history.features import History, Remembering
from gateway.history.journal_recovery import Settling
from gateway.history.key_agreement import KeyAgreement
from gateway.history.watch import HistoryWatch
from gateway.http.response_budget import ResponseBudget
from gateway.labels.counts import LabelCounts
from gateway.labels.receiving import LabelDesk
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.proving import PROOFS, Prover
from gateway.models.release_record import RecordSource
from gateway.models.retry_budget import RetryBudget
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.redis.circuit_breaker import CircuitBreaker
from gateway.redis.connection import connect_redis
from gateway.redis.connection_pool import Lanes
from gateway.requests.uploads import Uploads
from gateway.scoring import Scorer, TrialServices
from gateway.settings import Settings
from gateway.trial.canary_calls import CanaryCalls
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Shadow
from gateway.warm_up import WarmUp
from history.keyed_hash import HistoryKey

REDIS_SECONDS = 1.0
"""Timeout of all that is no transaction: /health, and what nobody waits for. A busy Redis must not pause a trial; the
client's default waited 58 s for a frozen one."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Connections, apart from each other: a version on trial that hangs must not hold up the live one.

    A probe has its own too, or a busy gateway would look like a sick one.

    Attributes:
        redis: for all that is no transaction; None without Redis.
        roads: how transactions get to Redis, likewise.
        record: where the release record is.
    """

    scoring: httpx.AsyncClient
    probing: httpx.AsyncClient
    trying: httpx.AsyncClient
    redis: Redis | None
    roads: Roads | None
    record: RecordSource


@dataclass(frozen=True, slots=True)
class Services:
    """What a route may call."""

    settings: Settings
    metrics: Metrics
    live: ModelTracker
    tallies: TrialCountsWriter
    answers: Answers
    agreement: KeyAgreement
    history: History
    history_watch: HistoryWatch
    settling: Settling
    labels: LabelDesk
    label_counts: LabelCounts
    shadow: Shadow
    scorer: Scorer
    uploads: Uploads
    sending: ResponseBudget
    health: Health
    openapi: OpenApi

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


def make_services(settings: Settings, metrics: Metrics, clients: Clients, drain: Drain) -> Services:
    """Wires the collaborators."""
    connections = settings.model_server_connections
    # A proof must not look better than the server is, and a trial fails towards the live version: neither asks twice.
    server, prober, trial_server = (
        InferenceClient(client, settings.model_name, settings.block_rows, most, retries)
        for client, most, retries in (
            (clients.scoring, connections, RetryBudget(metrics.model_retries.inc)),
            (clients.probing, PROOFS, None),
            (clients.trying, connections, None),
        )
    )
    tallies = TrialCountsWriter(clients.redis)
    live = ModelTracker(clients.record, settings.follow_seconds, Prover(settings, prober), tallies, metrics)
    calls, trial_calls = ModelCalls(live, server, metrics), ModelCalls(live, trial_server, metrics)
    shadow = Shadow(trial_calls, tallies, settings.deadline_seconds)
    canary_calls = CanaryCalls(trial_calls, live, max(1, settings.upload_slots // 2))
    trying = TrialServices(CanaryRouter(calls, canary_calls), shadow, tallies)
    remembering = _remembering(settings)
    answers = Answers(clients.redis, remembering.known_seconds)
    agreement = KeyAgreement(clients.redis, remembering.key)
    watch = HistoryWatch(clients.redis, agreement, live, metrics, remembers=remembering.record)
    history = History(clients.roads, watch, remembering, answers, metrics, agreement)
    return Services(
        settings=settings,
        metrics=metrics,
        live=live,
        tallies=tallies,
        answers=answers,
        agreement=agreement,
        history=history,
        history_watch=watch,
        settling=Settling(clients.redis),
        labels=LabelDesk(live, clients.redis, remembering.key, settings.deadline_seconds),
        label_counts=LabelCounts(clients.redis, metrics),
        shadow=shadow,
        scorer=Scorer(live, history, calls, trying, metrics, settings.deadline_seconds),
        uploads=Uploads(settings, metrics),
        sending=ResponseBudget(settings.answer_bytes),
        openapi=OpenApi(live, settings.max_transactions, settings.max_batch_files),
        health=Health(
            live, clients.redis, agreement, watch, _storage(settings), drain, WarmUp(live, history, server, metrics)
        ),
    )


def _storage(settings: Settings) -> Path:
    return settings.log_file.parent if settings.log_file else Path.cwd()


def _remembering(settings: Settings) -> Remembering:
    known, values = settings.known_days * 86_400, settings.values_hours * 3_600
    return Remembering(settings.history, round(known), max(1, round(min(known, values))), settings.key)


@asynccontextmanager
async def roads_to(url: str, threads: int, silence: float, key: HistoryKey) -> AsyncIterator[Roads]:
    """The ways for transactions to the Redis of this address, which may be silent for so many seconds.

    The digests in it must be made with the key.
    """
    client = blocking.Redis.from_url(url, socket_timeout=silence, socket_connect_timeout=silence, retry=None)
    with ThreadPoolExecutor(threads, "redis") as executor, closing(client):
        async with aclosing(Lanes(connect_redis(url, None), silence)) as lanes:
            breaker = CircuitBreaker(lanes.ping)
            async with running(breaker.keep_probing()):
                yield Roads(lanes, client, executor, breaker, key)

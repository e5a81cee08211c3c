"""The collaborators of the routes, made once."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from gateway.api.health import Health
from gateway.api.openapi import OpenApi
from gateway.drain import Drain
from gateway.history.answers import AnswerWriter
from gateway.history.features import History
from gateway.history.journal_recovery import JournalRecovery
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.http.response_budget import ResponseBudget
from gateway.labels.counts import LabelCounts
from gateway.labels.receiving import LabelReceiver
from gateway.metrics import Metrics
from gateway.models.inference_client import InferenceClient
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.proving import PROOFS, Prover
from gateway.models.release_record import RecordSource
from gateway.models.retry_budget import RetryBudget
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.redis.transports import RedisTransports
from gateway.requests.uploads import Uploads
from gateway.scoring import Scorer, TrialServices
from gateway.settings import Settings
from gateway.trial.canary_calls import CanaryCalls
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Shadow
from gateway.warm_up import WarmUp
from history.session import HistoryOptions

REDIS_SECONDS = 1.0
"""Timeout of all that is no transaction: /health, and what nobody waits for. A busy Redis must not pause a trial; the
client's default waited 58 s for a frozen one."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Connections, apart from each other: a version on trial that hangs must not hold up the live one.

    A probe has its own too, or a busy gateway would look like a sick one.

    Attributes:
        redis: for all that is no transaction; None without Redis.
        transports: how transactions get to Redis; None without Redis.
        record: where the release record is.
    """

    scoring: httpx.AsyncClient
    probing: httpx.AsyncClient
    trying: httpx.AsyncClient
    redis: Redis | None
    transports: RedisTransports | None
    record: RecordSource


@dataclass(frozen=True, slots=True)
class Services:
    """What a route may call."""

    settings: Settings
    metrics: Metrics
    live: ModelTracker
    tallies: TrialCountsWriter
    answers: AnswerWriter
    agreement: KeyMonitor
    history: History
    history_watch: HistoryMonitor
    settling: JournalRecovery
    labels: LabelReceiver
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
    answers = AnswerWriter(clients.redis, remembering.known_seconds)
    agreement = KeyMonitor(clients.redis, remembering.key)
    watch = HistoryMonitor(clients.redis, agreement, live, metrics, remembers=remembering.record)
    history = History(clients.transports, watch, remembering, answers, metrics, agreement)
    return Services(
        settings=settings,
        metrics=metrics,
        live=live,
        tallies=tallies,
        answers=answers,
        agreement=agreement,
        history=history,
        history_watch=watch,
        settling=JournalRecovery(clients.redis),
        labels=LabelReceiver(live, clients.redis, remembering.key, settings.deadline_seconds),
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


def _remembering(settings: Settings) -> HistoryOptions:
    known, values = settings.known_days * 86_400, settings.values_hours * 3_600
    return HistoryOptions(settings.history, round(known), max(1, round(min(known, values))), settings.key)

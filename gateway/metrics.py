"""What Prometheus reads. Labels hold routes, statuses, stages, decisions and versions: never anything of a caller's."""

import time
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from contract.decision import Decision

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The gateway's metrics, in a registry of their own so that two apps can live in one process."""

    def __init__(self) -> None:
        """Makes every metric."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests", "Requests by route and status", ["method", "route", "status"], registry=self.registry
        )
        self._latency = Histogram(
            "prediction_latency_seconds",
            "From the headers of a scoring request to its answer, waiting included",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._stages = Histogram(
            "stage_seconds", "Time by stage of scoring", ["stage"], buckets=SECONDS, registry=self.registry
        )
        self._predictions = Counter(
            "fraud_predictions", "Scored transactions", ["decision", "model_version"], registry=self.registry
        )
        self.live_version = Gauge(
            "live_model_version", "The version that this gateway serves; 0 is none", registry=self.registry
        )

    def request(self, method: str, route: str, status: int) -> None:
        """Counts an answered request."""
        self._requests.labels(method, route, str(status)).inc()

    def latency(self, seconds: float) -> None:
        """Takes the time of a scoring request."""
        self._latency.observe(seconds)

    def predictions(self, version: int, decisions: Sequence[Decision]) -> None:
        """Counts scored transactions by decision."""
        for decision, count in Tally(decisions).items():
            self._predictions.labels(decision, str(version)).inc(count)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage: read, parse, features, model or reply."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - started)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

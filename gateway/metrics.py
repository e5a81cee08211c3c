"""What Prometheus reads. Labels hold routes, statuses, stages, decisions and versions: never anything of a caller's.

One process of several (`processes`) keeps its values in a file of the directory that PROMETHEUS_MULTIPROC_DIR names,
and whichever is asked answers for all: counters and histograms are sums, over processes that ended too; a gauge shows
the value that says so in its definition.
"""

import collections
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import cache, partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    values,
)

from contract.decision import Decision
from contract.notes import Note
from gateway.label_gauges import LabelGauges
from gateway.models.serving_versions import TrialState
from history.label_update import ConfusionCounts

disable_created_metrics()  # type: ignore[no-untyped-call] # Files have no place for them, and nobody reads them.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

MAX_NOTED_COLUMNS = 100
"""Of all contracts that were live since the gateway started."""
OTHER_COLUMNS = "(other)"


class IncompleteReason(StrEnum):
    """Why a request has less history than it should: the words of /health and of the metrics."""

    UNAVAILABLE = "unavailable"
    LOADING = "loading"
    LOST = "lost"
    FULL = "full"


class _Timer:
    """Times what is done inside; prometheus_client's own, which is a decorator too, takes twice as long."""

    __slots__ = ("_histogram", "_started")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._histogram.observe(time.perf_counter() - self._started)


class Metrics:
    """The gateway's metrics, in a registry of their own so that two apps can live in one process."""

    def __init__(self) -> None:
        own = CollectorRegistry()
        counter = partial(Counter, registry=own)
        gauge = partial(Gauge, registry=own, multiprocess_mode="livemax")
        histogram = partial(Histogram, buckets=SECONDS, registry=own)
        # The children of these, by their labels: to find one in prometheus_client took longer than to count.
        self._requests = cache(
            counter("http_requests", "Requests by route and status", ["method", "route", "status"]).labels
        )
        self._latency = histogram(
            "prediction_latency_seconds", "From the headers of a scoring request to its answer, waiting included"
        )
        self._stages = cache(histogram("stage_seconds", "Time by stage of scoring", ["stage"]).labels)
        self._predictions = cache(
            counter("fraud_predictions", "Scored transactions", ["decision", "model_version"]).labels
        )
        self.live_version = gauge(
            "live_model_version", "The version that this gateway serves; 0 is none", multiprocess_mode="livemin"
        )
        self._trial_version = gauge("trial_model_version", "The version that the record has on trial; 0 is none")
        self._trial_paused = gauge("trial_paused", "Whether the trial is paused, and all goes to the live version")
        self.takeover = gauge("model_takeover", "Whether the live version stepped in for one that could not be loaded")
        self._model_requests = counter(
            "model_requests", "Scoring requests to the model server", ["model_version", "outcome"]
        )
        self.model_retries = counter("model_retries", "Blocks of rows that were sent to the model server a second time")
        self._model_seconds = histogram(
            "model_request_seconds", "Time of scoring requests to the model server", ["model_version"]
        )

        self._notes = counter("notes", "Rows that notes in answers are about", ["code", "column"])
        self._noted_columns = set[str]()
        self.history_degraded = counter("history_degraded", "Answers that said they were degraded for want of history")
        self._incomplete = gauge(
            "history_incomplete", "Whether answers have less history than they should, by the reason", ["reason"]
        )
        for reason in IncompleteReason:
            self._incomplete.labels(reason).set(0)
        self._reach = gauge(
            "history_reaches_back_timestamp_seconds",
            "From when on all transactions are in the history; 0 where nobody knows",
        )
        self._memory = gauge("redis_memory_used_ratio", "Share of its memory that Redis has used; 0 without a limit")
        self.history_forgotten = counter(
            "history_forgotten", "Transactions whose ids were forgotten early, for Redis was nearly full"
        )
        self._history_rows = counter(
            "history_rows", "Rows that were remembered (new) or known already (repeat)", ["kind"]
        )

        self._trial_state: Callable[[], TrialState | None] = lambda: None
        self._labels = LabelGauges()
        self.registry = _exposed(own)
        self.registry.register(self._labels)

    def history_rows(self, new: int, repeats: int) -> None:
        """Counts rows that entered the history, and rows that were known."""
        self._history_rows.labels("new").inc(new)
        self._history_rows.labels("repeat").inc(repeats)

    def history(self, reason: IncompleteReason | None, reach: float | None, memory: float | None) -> None:
        """Shows why history is incomplete, if it is, how far back it reaches, and Redis' memory."""
        for each in IncompleteReason:
            self._incomplete.labels(each).set(each is reason)
        self._reach.set(reach or 0.0)
        self._memory.set(memory or 0.0)

    def notes(self, notes: Sequence[Note]) -> None:
        """Counts the rows that notes are about; columns beyond MAX_NOTED_COLUMNS have one name together."""
        for note in notes:
            if len(self._noted_columns) < MAX_NOTED_COLUMNS:
                self._noted_columns.add(note.column)
            column = note.column if note.column in self._noted_columns else OTHER_COLUMNS
            self._notes.labels(note.code, column).inc(note.count)

    def labelled(self, versions: Mapping[int, ConfusionCounts]) -> None:
        """Shows what labels say of these versions, and of no other; a share of nothing is not shown."""
        self._labels.versions = versions

    def request(self, method: str, route: str, status: int) -> None:
        """Counts an answered request."""
        self._requests(method, route, status).inc()

    def show_trial(self, state: Callable[[], TrialState | None]) -> None:
        """Takes where to ask for the trial whenever the metrics are read."""
        self._trial_state = state

    def refresh(self) -> None:
        """Shows the trial as it is now."""
        state = self._trial_state()
        self._trial_version.set(state.trial.version if state else 0)
        self._trial_paused.set(bool(state and state.paused))

    def model_request(self, version: int, outcome: str, seconds: float) -> None:
        """Counts a scoring request to the model server: "scored", a problem's code, or "not_answered"."""
        self._model_requests.labels(str(version), outcome).inc()
        self._model_seconds.labels(str(version)).observe(seconds)

    def predictions(self, version: int, decisions: Sequence[Decision]) -> None:
        """Counts scored transactions by decision."""
        for decision, count in collections.Counter(decisions).items():
            self._predictions(decision, version).inc(count)

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Times one stage: read, parse, history, features, model or reply."""
        return _Timer(self._stages(name))

    def request_latency(self) -> AbstractContextManager[object]:
        """Times one scoring request."""
        return _Timer(self._latency)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        self.refresh()
        return generate_latest(self.registry)


def _exposed(own: CollectorRegistry) -> CollectorRegistry:
    """What is shown: this process' values, or those in the files of all."""
    if not getattr(values.ValueClass, "_multiprocess"):  # noqa: B009 - it has no public name
        return own
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry

"""The health of the service: alive (this process), ready (it can score), and healthy (each part, for people)."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.drain import Drain
from gateway.history.key_monitor import KeyMonitor
from gateway.history.monitor import HistoryMonitor
from gateway.http.problems import DeadlineExceeded, Draining, HistoryLoading, NoModel, Problem
from gateway.models.model_tracker import ModelTracker
from gateway.timeouts import io_timeout

PROBE_CACHE_SECONDS = 1.0
"""For how long the outcome of a probe is cached: readiness needs no key, and must not become a load."""
PROBE_DEADLINE_SECONDS = 2.0


@dataclass(eq=False)
class Health:
    """Probes the parts, at most once in PROBE_CACHE_SECONDS; this deployment writes to the directory `storage`.

    Attributes:
        has_been_ready: whether :meth:`unready` has ever found no reason.
    """

    _tracker: ModelTracker
    _redis: Redis | None
    _key_monitor: KeyMonitor
    _history: HistoryMonitor
    _storage: Path
    _drain: Drain
    _warm_up: Callable[[], Awaitable[None]]
    has_been_ready: bool = field(default=False, init=False)
    _is_warm: bool = field(default=False, init=False)
    _probe_lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _probe_expires: float = field(default=0.0, init=False)
    _probe_outcome: Problem | None = field(default=None, init=False)

    async def unready(self) -> Problem | None:
        """Why no more requests should come here; None when the live version scores its golden rows as expected.

        A gateway that starts is not ready while the history is being loaded; one that was ready stays so.
        """
        if self._drain.begun:
            return Draining()
        problem = await self._cached_probe()
        if problem is None and not self.has_been_ready:
            if await self._history.is_loading():
                return HistoryLoading()
            self.has_been_ready = True
        return problem

    async def report(self) -> tuple[bool, dict[str, Any]]:
        """Whether the service can score, and the state of each part in words and shares (0 to 100)."""
        problem = await self._cached_probe()
        redis = await self._redis_state()
        disk = shutil.disk_usage(self._storage)
        model, trial, history = self.model_state(), self._tracker.trial_state, self._history.health_fields()
        lost = model["version"] is not None and model["recorded_version"] is None
        no_history = redis == "unavailable" or self._key_monitor.refused or history["status"] == "degraded"
        degraded = lost or no_history or model["instead_of"] is not None or (trial and trial.paused)
        return problem is None, {
            "status": "unhealthy" if problem else "degraded" if degraded else "healthy",
            "model_status": problem.code if problem else "ready",
            "disk_usage": round(100 * disk.used / disk.total, 1),
            "memory_usage": psutil.virtual_memory().percent,
            "components": {
                "gateway": {"status": "healthy"},
                "model_server": {"status": _model_server_state(problem)},
                "model": model,
                "trial": self.trial_fields(),
                "redis": {"status": redis, "history_key": self._key_monitor.state},
                "history": history,
            },
        }

    async def _cached_probe(self) -> Problem | None:
        """The outcome of the last probe, for PROBE_CACHE_SECONDS; concurrent callers share one run."""
        async with self._probe_lock:
            if time.monotonic() >= self._probe_expires:
                self._probe_outcome = await self._probe()
                self._probe_expires = time.monotonic() + PROBE_CACHE_SECONDS
            return self._probe_outcome

    async def _probe(self) -> Problem | None:
        try:
            async with io_timeout(PROBE_DEADLINE_SECONDS):
                await self._tracker.probe()
                if not self._is_warm:
                    await self._warm_up()
                    self._is_warm = True
        except TimeoutError:
            return DeadlineExceeded()
        except Problem as problem:
            return problem
        return None

    def model_state(self) -> dict[str, Any]:
        """The version that serves, and what the release record says of it."""
        record = self._tracker.record
        try:
            serving = self._tracker.model.version
        except NoModel:
            serving = None
        return {
            "version": serving,
            "recorded_version": record.version if record else None,
            "instead_of": record.instead_of if record else None,
        }

    def trial_fields(self) -> dict[str, Any] | None:
        """The trial that the record names; None where it names none."""
        if (state := self._tracker.trial_state) is None:
            return None
        return {
            "version": state.trial.version,
            "kind": state.trial.kind,
            "share": state.trial.share,
            "status": "paused" if state.paused else "running",
            "reason": state.paused,
        }

    async def _redis_state(self) -> str:
        if self._redis is None:
            return "not configured"
        try:
            await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return "unavailable"
        return "healthy"


def _model_server_state(problem: Problem | None) -> str:
    """Without a live version nothing was asked of it."""
    if problem is None:
        return "healthy"
    return "unknown" if isinstance(problem, NoModel) else "unavailable"

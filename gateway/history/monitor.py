"""Whether Redis holds the history that it should: that it was not emptied, is not full, and is not being filled.

Each request compares the epoch that it read together with its states (`history.session`). The checks here, at an
interval, are for what no request tells: health, metrics, and that the next gateway knows of a loss.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from contract.schema import Contract
from gateway.history.key_monitor import KeyMonitor
from gateway.http.problems import NoModel
from gateway.logs import log
from gateway.metrics import IncompleteReason, Metrics
from gateway.models.model_tracker import ModelTracker
from history.epoch import EPOCH, LOADING, Epoch, ensure_epoch, has_served
from history.redis_schema import Arguments

CHECK_SECONDS, FIRST_CHECK_SECONDS = 1.0, 0.05
"""Between two checks; the shorter one until the epoch is known."""
FIRST_CHECK_TIMEOUT_SECONDS = 1.0
"""For which a request waits until a gateway that has just started has checked Redis once."""
FULL_SECONDS = 10.0
"""For which Redis counts as full after it has refused a write: a check between two deletions may find room."""
REDIS_ERRORS = (RedisError, OSError, ValueError)
"""What is raised where Redis cannot be used."""


class HistoryMonitor:
    """Checks the epoch, and how full Redis is."""

    def __init__(
        self, redis: Redis | None, key_monitor: KeyMonitor, live: ModelTracker, metrics: Metrics, *, record: bool
    ) -> None:
        """Takes its collaborators.

        Args:
            redis: a client with a timeout of its own; None where none is configured.
            key_monitor: while the key of Redis is not known to be this deployment's, no epoch is written.
            live: whose release record tells a deployment that has served before from a new one.
            metrics: that show the result.
            record: whether this gateway writes transactions at all; else it writes no epoch either.
        """
        self._redis = redis
        self._key_monitor = key_monitor
        self._live = live
        self._metrics = metrics
        self._record = record
        self._epoch: Epoch | None = None
        self._loading = False
        self._fullness: float | None = None
        self._full_until = 0.0
        self._reachable = False
        self._first_checked = asyncio.Event()
        self._check_now = asyncio.Event()
        self._lock = asyncio.Lock()

    @property
    def is_epoch_known(self) -> bool:
        """Whether the epoch is known: before that nothing may enter, or a loss would look like a history."""
        return self._epoch is not None or not self._record

    def is_incomplete(self, epoch: Epoch | None, contract: Contract, *, loading: bool) -> bool:
        """Whether states that were read in this epoch are less than the windows of a contract look back on."""
        if self._record and (self._epoch is None or epoch is None or epoch.id != self._epoch.id):
            self._check_now.set()
            return True
        return loading or (epoch is not None and epoch.is_incomplete(_longest(contract), time.time()))

    def report_out_of_memory(self) -> None:
        """Notes that Redis had no memory for a write."""
        self._full_until = time.monotonic() + FULL_SECONDS
        self._check_now.set()

    async def wait_first_check(self) -> None:
        """Waits until Redis has been checked once, whatever came of it; after a start that takes a moment."""
        if not self._first_checked.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._first_checked.wait(), FIRST_CHECK_TIMEOUT_SECONDS)

    async def is_loading(self) -> bool:
        """Whether the first model's past is being loaded now."""
        await self.check()
        return self._loading

    def incomplete_reason(self, contract: Contract) -> IncompleteReason | None:
        """Why the history for this contract is incomplete; None where it is complete."""
        if not self._reachable or self._key_monitor.refused:
            return IncompleteReason.UNAVAILABLE
        if self._loading:
            return IncompleteReason.LOADING
        if self._epoch is not None and self._epoch.is_incomplete(_longest(contract), time.time()):
            return IncompleteReason.LOST
        full = (self._fullness or 0.0) >= 1.0 or time.monotonic() < self._full_until
        return IncompleteReason.FULL if full else None

    def health_fields(self) -> dict[str, Any]:
        """The fields of /health, for the live contract."""
        if self._redis is None:
            return {"status": "not configured"}
        contract = self._live_contract
        if contract is None or not contract.history:
            return {"status": "not used"}
        incomplete_reason, epoch = self.incomplete_reason(contract), self._epoch
        oldest = epoch.reaches_back_to if epoch else None
        return {
            "status": "degraded" if incomplete_reason else "healthy",
            "reason": incomplete_reason,
            "reaches_back_to": None if oldest is None else _iso_time(oldest),
            "lost_at": _iso_time(epoch.lost_at) if epoch and epoch.lost_at else None,
            "memory_usage": None if self._fullness is None else round(100 * self._fullness, 1),
        }

    async def check_periodically(self) -> None:
        """Checks for ever, at an interval, and at once when a request has met a change."""
        while True:
            self._check_now.clear()
            try:
                await self.check()
            except Exception as error:  # noqa: BLE001 - one surprise must not end the checks
                log.error("history not looked at", exc_info=error)
            seconds = FIRST_CHECK_SECONDS if self._epoch_expected else CHECK_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._check_now.wait(), seconds)

    async def check(self) -> None:
        """Checks once, and writes the epoch where there is none."""
        if self._redis is None:
            self._first_checked.set()
            return
        async with self._lock:
            try:
                await self._check_redis(self._redis)
                self._reachable = True
            except REDIS_ERRORS as error:
                if self._reachable:
                    log.warning("history not looked at", reason=type(error).__name__)
                self._reachable = False
        if not self._reachable or not self._epoch_expected:
            self._first_checked.set()
        self._export_metrics()

    async def _check_redis(self, redis: Redis) -> None:
        memory = await redis.info("memory")
        self._fullness = memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else None
        text, lease = await redis.mget(EPOCH, LOADING)
        self._loading = bool(lease)
        record, now = self._live.record, time.time()
        if not self._record:
            self._epoch = Epoch.from_bytes(text)
        elif record is not None and await self._key_monitor.matches():
            self._set_epoch(await _run_commands(redis, ensure_epoch(self._epoch, now, served=has_served(record, now))))

    def _set_epoch(self, epoch: Epoch) -> None:
        before, self._epoch = self._epoch, epoch
        if epoch.lost_at is not None and (before is None or before.lost_at is None):
            log.warning("history lost", lost_at=_iso_time(epoch.lost_at))

    @property
    def _epoch_expected(self) -> bool:
        """Whether the epoch will be known soon; where Redis is of another key that may take until somebody acts."""
        return not self.is_epoch_known and not self._key_monitor.refused

    @property
    def _live_contract(self) -> Contract | None:
        try:
            return self._live.model.contract
        except NoModel:
            return None

    def _export_metrics(self) -> None:
        contract = self._live_contract
        reason = self.incomplete_reason(contract) if contract and contract.history else None
        self._metrics.history(reason, self._epoch.reaches_back_to if self._epoch else None, self._fullness)


async def _run_commands(redis: Redis, commands: Generator[Arguments, Any, Epoch]) -> Epoch:
    """Sends the commands of `history.epoch`, one after the other; the epoch that they end with."""
    command = next(commands)
    while True:
        reply = await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            command = commands.send(reply)
        except StopIteration as stop:
            epoch: Epoch = stop.value
            return epoch


def _longest(contract: Contract) -> float:
    """Seconds that the longest window of a contract looks back."""
    return max((window.seconds + window.delay + window.bucket for window in contract.history), default=0)


def _iso_time(seconds: float) -> str:
    """A time as text; as a number where it is not since 1970, as in some loaded data."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f} s"

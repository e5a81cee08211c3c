"""Whether Redis holds the history that it should: never emptied unseen, not full, and not just being filled.

Each answer is held against the epoch that Redis named in the same moment as the past (`history.session`); looking at it
now and then, here, is for what no request tells: health, metrics, and that the next gateway knows of a loss.
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
from gateway.history.shortfall import IncompleteReason
from gateway.http.problems import NoModel
from gateway.logs import log
from gateway.metrics import Metrics
from gateway.models.model_tracker import ModelTracker
from history.epoch import EPOCH, LOADING, Epoch, ensure_epoch, has_served
from history.redis_schema import Argument

EVERY_SECONDS, SOON_SECONDS = 1.0, 0.05
"""Between two looks; sooner until the epoch is known."""
FIRST_LOOK_SECONDS = 1.0
"""That a request waits for the first look, of a gateway that has just started."""
REFUSED_SECONDS = 10.0
"""For so long after Redis has refused to write it counts as full: a probe between two deletions may find room."""
NOT_THERE = (RedisError, OSError, ValueError)


class HistoryMonitor:
    """Looks after the epoch, and how full Redis is."""

    def __init__(
        self, redis: Redis | None, agreement: KeyMonitor, live: ModelTracker, metrics: Metrics, *, remembers: bool
    ) -> None:
        """Takes how to look.

        Args:
            redis: with a timeout of its own; None where none is configured.
            agreement: whether Redis is of this deployment's key; before, nobody knows what was remembered in it.
            live: by whose release record a deployment that has answered before is told from a new one.
            metrics: that show what is found.
            remembers: whether this gateway writes transactions at all; else it writes no epoch either.
        """
        self._redis = redis
        self._agreement = agreement
        self._live = live
        self._metrics = metrics
        self._remembers = remembers
        self._epoch: Epoch | None = None
        self._loading = False
        self._fullness: float | None = None
        self._refused_until = 0.0
        self._answers = False
        self._looked = asyncio.Event()
        self._news = asyncio.Event()
        self._looking = asyncio.Lock()

    @property
    def is_settled(self) -> bool:
        """Whether the epoch is known: before, nothing may enter, or a loss would look like a history."""
        return self._epoch is not None or not self._remembers

    def falls_short(self, epoch: Epoch | None, contract: Contract, *, loading: bool) -> bool:
        """Whether what Redis said in this epoch is less than the history that a contract's windows look back on."""
        if self._remembers and (self._epoch is None or epoch is None or epoch.id != self._epoch.id):
            self._news.set()
            return True
        return loading or (epoch is not None and epoch.is_incomplete(_longest(contract), time.time()))

    def refused(self) -> None:
        """Hears that Redis had no room."""
        self._refused_until = time.monotonic() + REFUSED_SECONDS
        self._news.set()

    async def first_look(self) -> None:
        """Waits until Redis has been looked at once, whatever was found; after a start that takes a moment."""
        if not self._looked.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), FIRST_LOOK_SECONDS)

    async def is_loading(self) -> bool:
        """Whether the first model's past is being loaded just now."""
        await self.look()
        return self._loading

    def shortfall(self, contract: Contract) -> IncompleteReason | None:
        """Why an answer by this contract has less history than it should; None where it has all."""
        if not self._answers or self._agreement.refused:
            return IncompleteReason.UNAVAILABLE
        if self._loading:
            return IncompleteReason.LOADING
        if self._epoch is not None and self._epoch.is_incomplete(_longest(contract), time.time()):
            return IncompleteReason.LOST
        return IncompleteReason.FULL if self._is_full else None

    def fields(self) -> dict[str, Any]:
        """For /health, as the live contract sees it."""
        if self._redis is None:
            return {"status": "not configured"}
        contract = self._contract
        if contract is None or not contract.history:
            return {"status": "not used"}
        shortfall, epoch = self.shortfall(contract), self._epoch
        reach = epoch.reaches_back_to if epoch else None
        return {
            "status": "degraded" if shortfall else "healthy",
            "reason": shortfall,
            "reaches_back_to": None if reach is None else _moment(reach),
            "lost_at": _moment(epoch.lost_at) if epoch and epoch.lost_at else None,
            "memory_usage": None if self._fullness is None else round(100 * self._fullness, 1),
        }

    async def keep_looking(self) -> None:
        """Looks for ever, and at once when a request has met something new."""
        while True:
            self._news.clear()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - one surprise must not end the looking
                log.error("history not looked at", exc_info=error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), SOON_SECONDS if self._settles_soon else EVERY_SECONDS)

    async def look(self) -> None:
        """Looks once, and writes the epoch where there is none."""
        if self._redis is None:
            self._looked.set()
            return
        async with self._looking:
            try:
                await self._look(self._redis)
                self._answers = True
            except NOT_THERE as error:
                if self._answers:
                    log.warning("history not looked at", reason=type(error).__name__)
                self._answers = False
        if not self._answers or not self._settles_soon:
            self._looked.set()
        self._show()

    async def _look(self, redis: Redis) -> None:
        memory = await redis.info("memory")
        self._fullness = memory["used_memory"] / memory["maxmemory"] if memory["maxmemory"] else None
        text, lease = await redis.mget(EPOCH, LOADING)
        self._loading = bool(lease)
        record, now = self._live.record, time.time()
        if not self._remembers:
            self._epoch = Epoch.from_bytes(text)
        elif record is not None and await self._agreement.agreed():
            self._take(await _asked(redis, ensure_epoch(self._epoch, now, served=has_served(record, now))))

    def _take(self, epoch: Epoch) -> None:
        before, self._epoch = self._epoch, epoch
        if epoch.lost_at is not None and (before is None or before.lost_at is None):
            log.warning("history lost", lost_at=_moment(epoch.lost_at))

    @property
    def _settles_soon(self) -> bool:
        """Whether the epoch is about to be known; what Redis holds of another key may wait for somebody for long."""
        return not self.is_settled and not self._agreement.refused

    @property
    def _is_full(self) -> bool:
        return (self._fullness or 0.0) >= 1.0 or time.monotonic() < self._refused_until

    @property
    def _contract(self) -> Contract | None:
        try:
            return self._live.model.contract
        except NoModel:
            return None

    def _show(self) -> None:
        contract = self._contract
        found = self.shortfall(contract) if contract and contract.history else None
        reasons = {str(reason): reason is found for reason in IncompleteReason}
        self._metrics.history(reasons, self._epoch.reaches_back_to if self._epoch else None, self._fullness)


async def _asked(redis: Redis, asking: Generator[tuple[Argument, ...], Any, Epoch]) -> Epoch:
    """What comes of asking Redis one command after the other.

    Raises:
        RedisError, OSError: it does not answer, or refuses.
    """
    command = next(asking)
    while True:
        reply = await redis.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            command = asking.send(reply)
        except StopIteration as stop:
            epoch: Epoch = stop.value
            return epoch


def _longest(contract: Contract) -> float:
    """How far back the windows of a contract look, in seconds."""
    return max((window.seconds + window.delay + window.bucket for window in contract.history), default=0)


def _moment(seconds: float) -> str:
    """A time for people; a past may be of data that counts from another beginning."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f} s"

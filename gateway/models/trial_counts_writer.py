"""Writes what this gateway counts of a trial to Redis, where the gateways are added up.

Totals are written over those before, so the next write repairs a lost one, and a Redis that lost everything. A trial
runs only while its counts arrive: one that nobody can judge must not go on.
"""

import asyncio
import secrets

from redis.asyncio import Redis

from gateway.logs import log
from releases.record import Trial
from releases.trial_counts import TrialCounts, trial_key

WRITE_INTERVAL_SECONDS = 0.5
EXPIRY_SECONDS = 30 * 86_400
MAX_FAILURES = 2
"""Writes that fail in a row before the trial pauses: one may meet a Redis that is just being started again."""


class TrialCountsWriter:
    """The counts of the trial that is on."""

    def __init__(self, redis: Redis | None) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis
        self._gateway = secrets.token_hex(8)
        self._key: str | None = None
        self._counts = TrialCounts()
        self._written = False
        self._failures = 0

    @property
    def pause_reason(self) -> str | None:
        """Why the trial cannot be counted, in snake case; None where it is."""
        if self._redis is None:
            return "redis_not_configured"
        if self._failures >= MAX_FAILURES or (self._failures and not self._written):
            return "redis_unavailable"
        return None if self._written else "starting"

    def follow(self, trial: Trial | None) -> None:
        """Counts for this trial from now on, and forgets the one before."""
        key = trial_key(trial) if trial else None
        if key != self._key:
            self._key, self._counts, self._written, self._failures = key, TrialCounts(), False, 0

    def add(self, trial: Trial, counts: TrialCounts) -> None:
        """Adds what a request counted; nothing where its trial is over."""
        if trial_key(trial) == self._key:
            self._counts.counts.update(counts.counts)

    async def write_periodically(self) -> None:
        """Writes until it is cancelled."""
        while True:
            await self.write()
            await asyncio.sleep(WRITE_INTERVAL_SECONDS)

    async def write(self) -> None:
        """Writes the totals once."""
        key = self._key
        if key is None or self._redis is None:
            return
        try:
            await self._write_to(self._redis, key)
        except Exception as error:  # noqa: BLE001 - whatever happens, it must not end the writing
            self._failed(key, error)
        else:
            self._succeeded(key)

    async def _write_to(self, redis: Redis, key: str) -> None:
        own = f"{key}:{self._gateway}"
        async with redis.pipeline(transaction=False) as pipeline:
            if self._counts.counts:
                pipeline.hset(own, mapping=dict(self._counts.counts))
            pipeline.sadd(key, self._gateway)
            pipeline.expire(own, EXPIRY_SECONDS)
            pipeline.expire(key, EXPIRY_SECONDS)
            await pipeline.execute()

    def _succeeded(self, key: str) -> None:
        if key == self._key:
            if not self._written or self._failures >= MAX_FAILURES:
                log.info("trial counted")
            self._written, self._failures = True, 0

    def _failed(self, key: str, error: Exception) -> None:
        if key == self._key:
            self._failures += 1
            if self._failures == (MAX_FAILURES if self._written else 1):
                log.warning("trial not counted", exc_info=error)

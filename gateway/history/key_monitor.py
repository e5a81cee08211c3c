"""Whether Redis' digests are made with this deployment's HISTORY_KEY: asked at the start, and again and again.

Where they are not, each script refuses by itself (`HistoryKey.guarded`); here it becomes known in words, for /health
and the log, and requests do not even ask. An empty Redis takes the key that comes first.
"""

import asyncio
from enum import StrEnum

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import evaluated
from history.keyed_hash import ADOPT_KEY, HistoryKey

EVERY_SECONDS = 1.0


class Agreement(StrEnum):
    """What Redis says of the key."""

    UNKNOWN = "unknown"
    """It has not answered yet."""
    AGREED = "agreed"
    UNKEYED = "unkeyed"
    """What is remembered is of a release that had no key: `fraud history rekey`."""
    MOVING = "moving"
    """`fraud history rekey` runs, or was cut off."""
    OTHER = "other"


class KeyMonitor:
    """What Redis said last."""

    def __init__(self, redis: Redis | None, key: HistoryKey) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis
        self._key = key
        self.state = Agreement.UNKNOWN

    @property
    def refused(self) -> bool:
        """Whether Redis is known to hold digests of another key."""
        return self.state not in (Agreement.UNKNOWN, Agreement.AGREED)

    async def agreed(self) -> bool:
        """Whether Redis is known to hold digests of this key, or nothing; asks where that is not known yet."""
        if self.state is Agreement.UNKNOWN:
            await self.ask()
        return self.state is Agreement.AGREED

    async def keep_asking(self) -> None:
        """Asks for ever."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.ask()

    async def ask(self) -> None:
        """Asks once; while Redis does not answer, what it said last stands."""
        if self._redis is None:
            return
        try:
            found: bytes = await evaluated(self._redis, ADOPT_KEY, (self._key.check,))
        except (RedisError, OSError):
            return
        before, self.state = self.state, self._meaning(found)
        if self.refused and before != self.state:
            log.warning("history not available", reason=f"history key {self.state}")

    def _meaning(self, found: bytes) -> Agreement:
        if found == self._key.check:
            return Agreement.AGREED
        if not found:
            return Agreement.UNKEYED
        return Agreement.MOVING if b" " in found else Agreement.OTHER

"""Whether Redis' digests are made with this deployment's HISTORY_KEY: checked at the start and at an interval.

Where they are not, each script refuses by itself (`HistoryKey.guarded`); the check puts it into words for /health and
the log, and keeps requests from asking. An empty Redis adopts the first key that checks.
"""

import asyncio
from enum import StrEnum

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import run_script
from history.keyed_hash import ADOPT_KEY, HistoryKey

CHECK_INTERVAL_SECONDS = 1.0


class KeyState(StrEnum):
    """What Redis holds, compared with the key."""

    UNKNOWN = "unknown"
    """Redis has not answered yet."""
    AGREED = "agreed"
    UNKEYED = "unkeyed"
    """Digests of a release that had no key: run `fraud history rekey`."""
    MOVING = "moving"
    """`fraud history rekey` runs, or was cut off."""
    OTHER = "other"


class KeyMonitor:
    """The result of the last check."""

    def __init__(self, redis: Redis | None, key: HistoryKey) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis
        self._key = key
        self.state = KeyState.UNKNOWN

    @property
    def refused(self) -> bool:
        """Whether Redis is known to hold digests of another key."""
        return self.state not in (KeyState.UNKNOWN, KeyState.AGREED)

    async def matches(self) -> bool:
        """Whether Redis is known to hold digests of this key, or nothing; checks where that is not known yet."""
        if self.state is KeyState.UNKNOWN:
            await self.check()
        return self.state is KeyState.AGREED

    async def check_periodically(self) -> None:
        """Checks for ever."""
        while True:
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Checks once; while Redis does not answer, the last result stands."""
        if self._redis is None:
            return
        try:
            result: bytes = await run_script(self._redis.execute_command, ADOPT_KEY, (self._key.check,))
        except (RedisError, OSError):
            return
        before, self.state = self.state, self._state_of(result)
        if self.refused and before != self.state:
            log.warning("history not available", reason=f"history key {self.state}")

    def _state_of(self, result: bytes) -> KeyState:
        if result == self._key.check:
            return KeyState.AGREED
        if not result:
            return KeyState.UNKEYED
        return KeyState.MOVING if b" " in result else KeyState.OTHER

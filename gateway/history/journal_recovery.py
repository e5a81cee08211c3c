"""What is left to do in Redis after large files, a moment after their replies: by whichever gateway comes first."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import evaluated
from history.journal import RECOVER

EVERY_SECONDS = 0.5


class JournalRecovery:
    """Journals, settled one after the other."""

    def __init__(self, redis: Redis | None) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis

    async def keep_settling(self) -> None:
        """Settles for ever; with a Redis that does not answer it tries again."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                while await self.settle():
                    pass
            except (RedisError, OSError) as error:
                log.warning("journals not settled", reason=type(error).__name__)

    async def settle(self) -> bool:
        """Settles the journal that has been due for longest; whether there was one.

        Raises:
            RedisError, OSError: Redis cannot be used.
        """
        return self._redis is not None and bool(await evaluated(self._redis, RECOVER, (int(time.time()),)))

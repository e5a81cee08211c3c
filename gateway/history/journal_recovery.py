"""Finishes the journals of large files (`history.journal`), a moment after their replies: those of all gateways."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import run_script
from history.journal import RECOVER

RECOVERY_INTERVAL_SECONDS = 0.5


class JournalRecovery:
    """Finishes journals one after the other."""

    def __init__(self, redis: Redis | None) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis

    async def recover_periodically(self) -> None:
        """Finishes journals for ever; where Redis does not answer, it tries again."""
        while True:
            await asyncio.sleep(RECOVERY_INTERVAL_SECONDS)
            try:
                while await self.recover_next():
                    pass
            except (RedisError, OSError) as error:
                log.warning("journals not settled", reason=type(error).__name__)

    async def recover_next(self) -> bool:
        """Finishes the journal that has been due for longest; whether there was one.

        Raises:
            RedisError, OSError: Redis cannot be used.
        """
        return self._redis is not None and bool(await run_script(self._redis, RECOVER, (int(time.time()),)))

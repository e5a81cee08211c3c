"""Finishes the journals of large files (`history.journal`), a moment after their replies: those of all gateways."""

import asyncio
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import run_script
from history.journal import RECOVER

RECOVERY_INTERVAL_SECONDS = 0.5


async def recover_periodically(redis: Redis | None) -> None:
    """Finishes journals one after the other, for ever; where Redis does not answer, it tries again.

    Takes a client with a timeout of its own; None where no Redis is configured.
    """
    while redis is not None:
        await asyncio.sleep(RECOVERY_INTERVAL_SECONDS)
        try:
            while await run_script(redis.execute_command, RECOVER, (int(time.time()),)):
                pass
        except (RedisError, OSError) as error:
            log.warning("journals not settled", reason=type(error).__name__)

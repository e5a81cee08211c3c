"""Finishes the journals of large files (`history.journal`), a moment after their replies: those of all gateways.

Where Redis holds records of a release before, it looks now and then whether they have expired (`history.known_ids`).
"""

import asyncio
import time
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.redis.scripts import run_script
from history.journal import RECOVER
from history.known_ids import close_old_format

RECOVERY_INTERVAL_SECONDS = 0.5
FORMAT_CHECK_SECONDS = 3_600.0
"""Between two looks for records of a release before, which read the names of all keys."""


async def recover_periodically(redis: Redis | None) -> None:
    """Finishes journals one after the other, for ever; where Redis does not answer, it tries again.

    Takes a client with a timeout of its own; None where no Redis is configured.
    """
    next_check = time.monotonic()
    while redis is not None:
        await asyncio.sleep(RECOVERY_INTERVAL_SECONDS)
        try:
            while await run_script(redis.execute_command, RECOVER, (int(time.time()),)):
                pass
            if time.monotonic() >= next_check:
                await _close_old_format(redis)
                next_check = time.monotonic() + FORMAT_CHECK_SECONDS
        except (RedisError, OSError) as error:
            log.warning("journals not settled", reason=type(error).__name__)


async def _close_old_format(redis: Redis) -> None:
    """Has transactions no longer looked up by records of a release before, once none is left."""
    commands = close_old_format()
    command = next(commands)
    with suppress(StopIteration):
        while True:
            command = commands.send(await redis.execute_command(*command))  # type: ignore[no-untyped-call]

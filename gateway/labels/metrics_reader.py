"""Reads the confusion counts of each version from Redis, for /metrics."""

import asyncio
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.metrics import Metrics
from history.label_update import COUNTS, confusion_by_version

READ_SECONDS = 5.0
MAX_VERSIONS = 10
"""The newest ones, which are shown: each has six lines in /metrics."""


async def read_periodically(redis: Redis | None, metrics: Metrics) -> None:
    """Shows the counts of all gateways together, for ever; while Redis is not available, the last ones.

    Takes a client with a timeout of its own; None where no Redis is configured.
    """
    while redis is not None:
        try:
            with suppress(RedisError, OSError):
                fields = await redis.hgetall(COUNTS)  # type: ignore[misc,arg-type]
                metrics.labelled(dict(list(confusion_by_version(fields).items())[-MAX_VERSIONS:]))
        except Exception as error:  # noqa: BLE001 - one surprise must not end the reading
            log.error("label counts not read", exc_info=error)
        await asyncio.sleep(READ_SECONDS)

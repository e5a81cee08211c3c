"""What labels say of each version's decisions: read from Redis in the background, shown at /metrics."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.metrics import Metrics
from history.labels import COUNTS, confusion_by_version

EVERY_SECONDS = 5.0
MOST_VERSIONS = 10
"""The newest ones are shown: each has six lines in every answer."""


class LabelCounts:
    """The counts of all gateways together; while Redis is away, those that it had."""

    def __init__(self, redis: Redis | None, metrics: Metrics) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis
        self._metrics = metrics

    async def keep_reading(self) -> None:
        """Reads for ever."""
        while True:
            try:
                await self.read()
            except Exception as error:  # noqa: BLE001 - one surprise must not end the reading
                log.error("label counts not read", exc_info=error)
            await asyncio.sleep(EVERY_SECONDS)

    async def read(self) -> None:
        """Reads once; what cannot be read leaves what is shown."""
        if self._redis is None:
            return
        try:
            fields = await self._redis.hgetall(COUNTS)  # type: ignore[misc,arg-type]
        except (RedisError, OSError):
            return
        self._metrics.labelled(dict(list(confusion_by_version(fields).items())[-MOST_VERSIONS:]))

"""Reads the confusion counts of each version from Redis, for /metrics."""

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.logs import log
from gateway.metrics import Metrics
from history.labels import COUNTS, confusion_by_version

READ_SECONDS = 5.0
MAX_VERSIONS = 10
"""The newest ones, which are shown: each has six lines in /metrics."""


class LabelMetricsReader:
    """Shows the counts of all gateways together; while Redis is not available, the last ones."""

    def __init__(self, redis: Redis | None, metrics: Metrics) -> None:
        """Takes a client with a timeout of its own; None where no Redis is configured."""
        self._redis = redis
        self._metrics = metrics

    async def read_periodically(self) -> None:
        """Reads for ever, at an interval."""
        while True:
            try:
                await self.read()
            except Exception as error:  # noqa: BLE001 - one surprise must not end the reading
                log.error("label counts not read", exc_info=error)
            await asyncio.sleep(READ_SECONDS)

    async def read(self) -> None:
        """Reads once; where that fails, the metrics stay as they are."""
        if self._redis is None:
            return
        try:
            fields = await self._redis.hgetall(COUNTS)  # type: ignore[misc,arg-type]
        except (RedisError, OSError):
            return
        self._metrics.labelled(dict(list(confusion_by_version(fields).items())[-MAX_VERSIONS:]))

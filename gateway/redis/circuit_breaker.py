"""A circuit breaker before Redis.

It opens when Redis is not available, so that requests do not wait for it. No request tries whether it is back: a probe
in the background does, and closes the breaker at the first answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError, ResponseError

from gateway.logs import log

PROBE_SECONDS = 0.1
"""Between two probes."""


class CircuitBreaker:
    """Open while Redis does not answer."""

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        """Takes a probe of Redis, which raises RedisError or OSError where it is not available."""
        self._probe = probe
        self._opened = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether Redis is not to be asked."""
        return self._opened.is_set()

    def failed(self, error: Exception) -> None:
        """Opens, unless the error is an answer of Redis: then it fails one request alone."""
        if isinstance(error, RedisError | OSError) and not isinstance(error, ResponseError):
            self._opened.set()

    async def probe_periodically(self) -> None:
        """Probes whenever it is open, for ever."""
        while True:
            await self._opened.wait()
            try:
                await self._probe()
            except (RedisError, OSError):
                await asyncio.sleep(PROBE_SECONDS)
            else:
                log.info("history available again")
                self._opened.clear()

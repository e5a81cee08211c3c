"""Whether Redis is asked at all: a circuit breaker.

It opens when Redis is not there, so that requests meanwhile wait for nothing. No request tries whether it is back: a
probe in the background does, and closes the breaker at the first answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError, ResponseError

from gateway.logs import log

PROBE_SECONDS = 0.1
"""Between two probes."""


class CircuitBreaker:
    """Closed while Redis answers."""

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        """Takes what asks Redis whether it is there; it raises RedisError or OSError where it is not."""
        self._probe = probe
        self._opened = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether Redis is not to be asked."""
        return self._opened.is_set()

    def failed(self, error: Exception) -> None:
        """Opens, unless Redis has answered after all: what it refuses is one request's failure."""
        if isinstance(error, RedisError | OSError) and not isinstance(error, ResponseError):
            self._opened.set()

    async def keep_probing(self) -> None:
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

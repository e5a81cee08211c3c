"""A circuit breaker before Redis.

It opens when Redis is not available, so that requests do not wait for it: at once where a connection is refused or
lost; after a command that got no answer in time only where a probe gets none either, for one slow command is one
request's failure. No request tries whether Redis is back: a probe in the background does, and closes the breaker at the
first answer.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.logs import log

PROBE_SECONDS = 0.1
"""Between two probes."""


class CircuitBreaker:
    """Open while Redis does not answer."""

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        """Takes a probe of Redis, which raises RedisError or OSError where it is not available."""
        self._probe = probe
        self._opened = False
        self._probe_wanted = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether Redis is not to be asked."""
        return self._opened

    def failed(self, error: Exception) -> None:
        """Opens or probes, unless the error is an answer of Redis: then it fails one request alone."""
        if not isinstance(error, RedisError | OSError) or isinstance(error, ResponseError):
            return
        self._opened |= not isinstance(error, TimeoutError | RedisTimeoutError)
        self._probe_wanted.set()

    async def probe_periodically(self) -> None:
        """Probes whenever it is open or may have to be, for ever."""
        while True:
            await self._probe_wanted.wait()
            try:
                await self._probe()
            except (RedisError, OSError):
                self._opened = True
                await asyncio.sleep(PROBE_SECONDS)
            else:
                if self._opened:
                    log.info("history available again")
                self._opened = False
                self._probe_wanted.clear()

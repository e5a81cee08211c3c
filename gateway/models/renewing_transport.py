"""Connections that are replaced regularly.

Behind one name there may be several model servers, and a balancer (Kubernetes' Service) chooses among them for each
connection. One that stays busy is never closed: a server that was added under load would get no request.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import httpx

RENEW_SECONDS = 30.0


class RenewingTransport(httpx.AsyncBaseTransport):
    """Replaces the transport inside every RENEW_SECONDS; the old one is closed once all its requests have ended."""

    def __init__(
        self,
        make: Callable[[], httpx.AsyncBaseTransport],
        max_request_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes a factory of transports, and the seconds after which a request has ended for certain."""
        self._make = make
        self._max_request_seconds = max_request_seconds
        self._clock = clock
        self._current = make()
        self._began = clock()
        self._closing = set[asyncio.Task[None]]()
        self._retired = deque[tuple[float, httpx.AsyncBaseTransport]]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends it by the transport of the moment."""
        now = self._clock()
        if now - self._began > RENEW_SECONDS:
            self._retired.append((now + self._max_request_seconds, self._current))
            self._current, self._began = self._make(), now
        while self._retired and self._retired[0][0] < now:
            self._close(self._retired.popleft()[1])
        return await self._current.handle_async_request(request)

    def _close(self, transport: httpx.AsyncBaseTransport) -> None:
        """In a task of its own: the request that finds it due may be cancelled."""
        closing = asyncio.create_task(transport.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Ends all of them."""
        await asyncio.gather(*self._closing)
        for transport in (*(each for _, each in self._retired), self._current):
            await transport.aclose()

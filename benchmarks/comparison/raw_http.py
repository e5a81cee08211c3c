"""A client of HTTP/1.1 that costs little: one request at a time on each connection, bytes in, bytes out.

It shares the processors with the servers that it measures, so it does little: 40 to 65 µs a request, all of the load
generator counted, where aiohttp alone takes 130 to 340. It speaks to servers of this benchmark alone: no TLS, no
redirects, no compression.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

NO_ANSWER = 0
"""The status of a request whose connection ended, or that got no answer in time."""
HEAD_END = b"\r\n\r\n"


class ConnectionEnded(Exception):
    """The server closed the connection before the answer was whole."""


@dataclass(slots=True, eq=False)
class _RawAnswer:
    """One that arrives: its head, and what is known of its length."""

    status: int
    length: int | None
    is_chunked: bool
    closes: bool
    body: bytearray = field(default_factory=bytearray)


def head_of(head: bytes) -> tuple[int, int | None, bool, bool]:
    """Status, Content-Length (None where there is none), whether it is chunked, and whether the connection closes."""
    lower = head.lower()
    length = None
    if (at := lower.find(b"\r\ncontent-length:")) >= 0:
        length = int(lower[at + 17 :].split(b"\r\n", 1)[0])
    is_chunked = b"\r\ntransfer-encoding: chunked" in lower
    return int(head[9:12]), length, is_chunked, b"\r\nconnection: close" in lower


class _Wire(asyncio.Protocol):
    """The bytes of one connection, put together to answers."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiter: asyncio.Future[_RawAnswer] | None = None
        self._buffer = bytearray()
        self._answer: _RawAnswer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # of a stream socket

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any end is an end
        self.transport = None
        answer, self._answer = self._answer, None
        if self.waiter and not self.waiter.done():
            if answer and answer.length is None and not answer.is_chunked:
                self.waiter.set_result(answer)
            else:
                self.waiter.set_exception(ConnectionEnded())

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self._buffer += data
            end = self._buffer.find(HEAD_END)
            if end < 0:
                return
            self._answer = _RawAnswer(*head_of(bytes(self._buffer[:end])))
            data = bytes(self._buffer[end + len(HEAD_END) :])
            self._buffer.clear()
        if self._take(self._answer, data):
            answer, self._answer = self._answer, None
            if answer.closes and self.transport:
                self.transport.close()
                self.transport = None
            if self.waiter and not self.waiter.done():
                self.waiter.set_result(answer)

    def _take(self, answer: _RawAnswer, data: bytes) -> bool:
        """Adds what arrived; whether the answer is whole."""
        if not answer.is_chunked:
            answer.body += data
            return answer.length is not None and len(answer.body) >= answer.length
        self._buffer += data
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:end].split(b";", 1)[0], 16)
            if len(self._buffer) < end + 2 + size + 2:
                return False
            answer.body += self._buffer[end + 2 : end + 2 + size]
            del self._buffer[: end + 2 + size + 2]
            if size == 0:
                return True
        return False


class Connection:
    """One connection to a server, opened again where it was closed."""

    def __init__(self, host: str, port: int, timeout_seconds: float) -> None:
        """Opens nothing yet."""
        self._address = host, port
        self._timeout = timeout_seconds
        self._wire: _Wire | None = None

    async def request(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; NO_ANSWER where there is none."""
        try:
            answer = await self._exchange(head, body)
            return answer.status, bytes(answer.body)
        except (OSError, ConnectionEnded):
            self.close()
            return NO_ANSWER, b""

    async def _exchange(self, head: bytes, body: bytes) -> _RawAnswer:
        loop = asyncio.get_running_loop()
        if self._wire is None or self._wire.transport is None:
            _, self._wire = await loop.create_connection(_Wire, *self._address)
        assert self._wire.transport
        self._wire.waiter = loop.create_future()
        # A timer by itself takes a fraction of what asyncio.timeout does.
        timer = loop.call_later(self._timeout, self._wire.transport.abort)
        self._wire.transport.writelines([head, body])
        try:
            return await self._wire.waiter
        finally:
            timer.cancel()

    def close(self) -> None:
        """Ends it."""
        with contextlib.suppress(AttributeError):
            self._wire.transport.abort()  # type: ignore[union-attr] # suppressed
        self._wire = None

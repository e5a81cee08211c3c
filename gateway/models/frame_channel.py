"""How bytes get to the model server and back: POST requests of HTTP/1.1 over connections that are kept.

It is the part of HTTP that TorchServe's inference port speaks, and no more: whatever else comes back ends the
connection. httpx over aiohttp took five times the processor's time for it; httpx is still what tests and other networks
are plugged in by.

Connections are replaced regularly. Behind one name there may be several model servers, and a balancer (Kubernetes'
Service) chooses among them for each connection: one that stayed open under load would never find an added server.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import quote

import httptools
import httpx

from gateway.http.problems import DeadlineExceeded, ModelServerDown

HEAD = (
    "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
)
"""Each header costs a TorchServe worker four system calls: there are three."""
RENEW_SECONDS = 30.0
"""After which a connection takes no further request."""
FIRST_FINAL_STATUS = 200

Reply = tuple[int, bytes]
"""The status and the body of an answer."""


class FrameChannel(Protocol):
    """A way to the model server."""

    @property
    def timeout_seconds(self) -> float:
        """For how long an answer may be waited for."""

    async def post(self, path: str, body: bytes, seconds: float) -> Reply:
        """One attempt.

        Raises:
            ModelServerDown: it cannot be reached, or did not answer in HTTP as it should.
            DeadlineExceeded: it did not answer in time.
        """


class HttpxChannel:
    """Over a client of httpx, whose transport may be any."""

    def __init__(self, client: httpx.AsyncClient, timeout_seconds: float) -> None:
        """Takes a client whose base URL is the inference address."""
        self._client = client
        self.timeout_seconds = timeout_seconds

    async def post(self, path: str, body: bytes, seconds: float) -> Reply:
        """As :class:`FrameChannel` has it."""
        try:
            response = await self._client.post(path, content=body, timeout=seconds)
        except (httpx.ReadTimeout, httpx.PoolTimeout):
            raise DeadlineExceeded from None
        except httpx.HTTPError:
            raise ModelServerDown from None
        return response.status_code, response.content


class SocketChannel:
    """Over connections of its own, as many as there are requests at once."""

    def __init__(
        self, url: str, timeout_seconds: float, max_reply_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes the address of the inference port, and how large a reply may be."""
        address = httpx.URL(url)
        # Made once: to read the system's authorities takes 50 ms of the event loop.
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._host, self._port = address.host, address.port or (443 if self._tls else 80)
        self._host_header = address.netloc.decode("ascii")
        self._max_reply_bytes = max_reply_bytes
        self._clock = clock
        self._idle: list[_Connection] = []
        self._all = set[_Connection]()
        self.timeout_seconds = timeout_seconds

    async def post(self, path: str, body: bytes, seconds: float) -> Reply:
        """As :class:`FrameChannel` has it."""
        connection = self._idle_connection() or await self._connect(seconds)
        head = HEAD.format(path=quote(path), host=self._host_header, length=len(body))
        reply = connection.send(head.encode("ascii") + body)
        timer = asyncio.get_running_loop().call_later(seconds, _expire, reply)
        try:
            return await reply
        finally:
            timer.cancel()
            if connection.is_reusable and not self._is_old(connection):
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Ends all connections."""
        for connection in list(self._all):
            connection.close()

    def _idle_connection(self) -> "_Connection | None":
        """The one that was used last, so that those that are not needed grow old."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and not self._is_old(connection):
                return connection
            connection.close()
        return None

    async def _connect(self, seconds: float) -> "_Connection":
        loop = asyncio.get_running_loop()
        hostname = self._host if self._tls else None
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    self._made, self._host, self._port, ssl=self._tls, server_hostname=hostname
                )
        except (OSError, ValueError):  # A TimeoutError is an OSError; ValueError: the host is no name.
            raise ModelServerDown from None
        return connection

    def _made(self) -> "_Connection":
        connection = _Connection(self._max_reply_bytes, self._clock(), self._lost)
        self._all.add(connection)
        return connection

    def _lost(self, connection: "_Connection") -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _is_old(self, connection: "_Connection") -> bool:
        return self._clock() - connection.since > RENEW_SECONDS


class _UnexpectedReply(Exception):
    """It is HTTP perhaps, and nothing that is understood here."""


class _Connection(asyncio.Protocol):
    """One connection, on which requests follow each other; it is a protocol and the parser's callbacks.

    Attributes:
        since: when it was opened.
        is_reusable: whether it may take a request now.
    """

    def __init__(self, max_bytes: int, since: float, lost: Callable[["_Connection"], None]) -> None:
        self.since = since
        self.is_reusable = True
        self._max_bytes = max_bytes
        self._lost = lost
        self._reply: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = bytearray()
        self._is_sized = self._is_whole = self._is_kept = False

    def send(self, message: bytes) -> asyncio.Future[Reply]:
        """Sends a request whole; its reply, or ModelServerDown."""
        self._reply = asyncio.get_running_loop().create_future()
        self.is_reusable = False
        self._is_whole = False
        if self._transport is None or self._transport.is_closing():
            self._fail()
        else:
            self._transport.write(message)
        return self._reply

    def close(self) -> None:
        """Ends it at once; what is being waited for has failed."""
        self.is_reusable = False
        self._fail()
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio has it
        """It is not open any more."""
        self.is_reusable = False
        self._fail()
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; what comes without having been asked for ends the connection."""
        if self._reply is None or self._reply.done():
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # The callbacks' own exceptions too.
            self.close()
            return
        if self._is_whole:
            self.is_reusable = self._is_kept
            self._reply.set_result((self._parser.get_status_code(), bytes(self._body)))

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._is_whole:
            raise _UnexpectedReply
        self._body, self._is_sized = bytearray(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. A reply that is packed is not read: a few bytes of it can be a gigabyte."""
        name = name.lower()
        if name == b"transfer-encoding" or (name == b"content-encoding" and value.lower() != b"identity"):
            raise _UnexpectedReply
        if name == b"content-length":
            self._is_sized = True
            if len(value) > len(str(self._max_bytes)) or int(value) > self._max_bytes:
                raise _UnexpectedReply

    def on_headers_complete(self) -> None:
        """The body begins."""
        if not self._is_sized or self._parser.get_status_code() < FIRST_FINAL_STATUS:
            raise _UnexpectedReply

    def on_body(self, body: bytes) -> None:
        """A part of the body, whose length the parser holds to what was announced."""
        self._body += body

    def on_message_complete(self) -> None:
        """The reply is whole; the parser forgets afterwards whether the connection is to be kept."""
        self._is_whole, self._is_kept = True, self._parser.should_keep_alive()

    def _fail(self) -> None:
        if self._reply and not self._reply.done():
            self._reply.set_exception(ModelServerDown())


def _expire(reply: asyncio.Future[Reply]) -> None:
    if not reply.done():
        reply.set_exception(DeadlineExceeded())

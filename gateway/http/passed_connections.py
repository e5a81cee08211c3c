"""Connections that begin a large body are passed on to a process that serves nothing else.

What is computed for a large body takes the interpreter's lock from every other request of the same process. So the
process that took the connection reads the head of a request, and hands over the socket and what it has read of the
request as soon as the head announces a large body, or a body of unknown length. It stays where no process takes it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.http.body_limit import LARGE_BODY_BYTES, announced_length
from gateway.http.protocol import GuardedProtocol

PASS_SECONDS = 5.0
"""For how long a connection is offered before it stays."""


class ConnectionQueue(Protocol):
    """A way to another process."""

    def try_send(self, connection: int, received: bytes) -> bool:
        """Takes a file descriptor and what was read from it; False where there is no room now, OSError for no way."""

    def wait_for_room(self, offer: Callable[[], bool]) -> None:
        """Calls it until it is True."""


class PassingProtocol(GuardedProtocol):
    """A connection that is passed on with the first large body."""

    def __init__(self, *arguments: Any, sender: ConnectionQueue, seconds: float = PASS_SECONDS, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._sender = sender
        self._seconds = seconds
        self._read: bytes | None = b""  # All of a request whose head is not whole yet; None once that is decided.
        self._offered = self._stays = False

    def connection_lost(self, exc: Exception | None) -> None:
        """It was passed on, or has ended."""
        self._read = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Keeps what belongs to a head until it is whole."""
        if not self._in_head and not self._stays and self._is_idle():
            self._read = b""
        if self._read is not None:
            self._read += data
        if not self._offered:  # Or else it was on its way when reading was paused.
            super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is whole, and decides where the request is served."""
        if self._read is not None and _is_large(self.headers):
            raise _PassOn
        self._read = None
        super().on_headers_complete()

    def _feed(self, data: bytes) -> None:
        try:
            super()._feed(data)
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _PassOn):
                raise
            self._end_head()
            self._offered = True
            self.transport.pause_reading()
            self.loop.call_later(self._seconds, self._stay)
            if not self._offer():
                self._sender.wait_for_room(self._offer)

    def _is_idle(self) -> bool:
        """Whether the last request was answered, and no other one waits behind it."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or (cycle.response_complete and not cycle.more_body and not self.pipeline)

    def _offer(self) -> bool:
        """Whether it need not be offered again: it is passed on, has ended, or stays."""
        if self._stays or self.transport.is_closing():
            return True
        try:
            if not self._sender.try_send(self.transport.get_extra_info("socket").fileno(), self._read or b""):
                return False
        except OSError:
            self._stay()
        else:
            self.transport.abort()  # The other process has a descriptor of its own: the connection goes on.
        return True

    def _stay(self) -> None:
        """Reads the head once more, and serves the request here, unless it has left."""
        if self._stays or self.transport.is_closing():
            return
        self._stays, self._offered = True, False
        self.parser = httptools.HttpRequestParser(self)
        read, self._read = self._read or b"", None
        self.transport.resume_reading()
        self._begin_head()
        self.data_received(read)


class PassedProtocol(GuardedProtocol):
    """A connection that was passed on; it ends behind its answer, so that the caller's next request comes elsewhere."""

    def __init__(self, *arguments: Any, received: bytes, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._received = received

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        """Begins with what the other process has read."""
        super().connection_made(transport)
        received, self._received = self._received, b""
        self.data_received(received)
        self.loop.call_soon(self._pause)  # Reading begins after this method, whatever was said in it.

    def _pause(self) -> None:
        if self.flow.read_paused and not self.transport.is_closing():
            self.transport.pause_reading()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.cycle.keep_alive = False


class _PassOn(Exception):
    """The request is for another process: the parser stops."""


def _is_large(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    unknown = any(name == b"transfer-encoding" for name, _ in headers)
    return unknown or announced_length(headers) > LARGE_BODY_BYTES

"""HTTP/1.1 as uvicorn and httptools speak it, with what they leave open closed.

An `Upgrade` header (Java's client sends one with its first request) is ignored, as RFC 9110 allows: uvicorn would drop
the body and read it as the next request. Heads are bounded in bytes and seconds: they come before the key. Trailers
are not taken for headers. A caller who does not read the answer is cut off; what one still sends is discarded for
a while (`lingering`). What is no HTTP is refused in its turn, behind the answers to the requests before it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.heads import check_head, origin_form
from gateway.http.lingering import LingeringTransport, LingerLimits
from gateway.http.problems import HeadTooLarge, NotHttp, Problem, TargetTooLong
from gateway.http.refusal import BODY, HEAD

WHOLE = "gateway.body_whole"
"""In the scope of a request whose body has arrived: whoever reads it need not wait."""

UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})
SEPARATORS = b": \r\n"
MAX_OVERHEAD = 8
"""Bytes read for each byte of body; a read above it is counted like a head: chunk extensions, trailers."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take.

    Attributes:
        head_bytes: of a head; and of what comes around a body, extensions of chunks and trailers.
        target_bytes: of its path and query; RFC 9112 asks for 8,000 at least.
        head_seconds: for a head to arrive, or to begin.
        send_seconds: for an answer that the caller does not read.
        linger: for a caller who goes on sending after the answer.
    """

    head_bytes: int = 65_536
    target_bytes: int = 8192
    head_seconds: float = 30.0
    send_seconds: float = 60.0
    linger: LingerLimits = field(default_factory=LingerLimits)


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    transport: LingeringTransport  # type: ignore[assignment] # all that uvicorn asks of one

    def __init__(self, *arguments: Any, limits: ConnectionLimits | None = None, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*arguments, **named)
        self._limits = limits or ConnectionLimits()
        self._counted = 0
        self._body_bytes = 0
        self._in_head = True
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Starts the clock."""
        lingering = LingeringTransport(transport, self._is_unread, self._limits.linger)
        super().connection_made(lingering)  # type: ignore[arg-type] # all that uvicorn asks of one
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops it."""
        self._end_head()
        self.transport.disconnected()
        self.resume_writing()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends; it does not wait for callers who were answered."""
        if self.transport.lingering:
            self.transport.abort()
        super().shutdown()

    def pause_writing(self) -> None:
        """The caller does not read; close() would wait for it, holding the answer in memory."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again, or has disconnected."""
        if self._send_timer:
            self._send_timer.cancel()
            self._send_timer = None
            super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; an upgrade is taken out of the head, and the rest read as if it had not been there."""
        if self.transport.lingering:
            self.transport.discard(data)
        elif not self._refused:
            self._unset_keepalive_if_required()
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(error.__context__ if isinstance(error.__context__, Problem) else NotHttp())
        except Problem as problem:
            self._refuse(problem)

    def _feed(self, data: bytes) -> None:
        """Counts a read that began and ended within one head, or around one body: only its parts are called back."""
        scope, in_head, self._body_bytes = self.scope, self._in_head, 0
        self.parser.feed_data(data)
        same = self._in_head is in_head and (self.scope is scope or self.cycle is None)
        if same and self._body_bytes * MAX_OVERHEAD < len(data):
            self._count(len(data))

    def _count(self, count: int) -> None:
        self._counted += count
        if self._counted > self._limits.head_bytes:
            raise HeadTooLarge

    def _without_upgrade(self, rest: bytes) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(NotHttp("This is no proxy."))
            return
        headers = [(name, value) for name, value in self.headers if name not in UPGRADE_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            headers.append((b"connection", b"close"))
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        version = self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/%s\r\n%s\r\n%s" % (method, self.url, version, head, rest))

    def on_message_begin(self) -> None:
        """A new head."""
        super().on_message_begin()
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        super().on_url(url)
        if len(self.url) > self._limits.target_bytes:
            raise TargetTooLong

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer after a body is counted, and is none (RFC 9110, 6.5.1)."""
        self._count(len(name) + len(value) + len(SEPARATORS))
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; that of an upgrade is read again without it."""
        version = self.parser.get_http_version()
        check_head(version, self.headers)
        if self.parser.should_upgrade():
            return
        self.url = origin_form(self.parser.get_method(), self.url)
        self.expect_100_continue = self.expect_100_continue and version != "1.0"
        self._end_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()
            cast("Scope", self.cycle.scope)[WHOLE] = True

    def _refuse(self, problem: Problem) -> None:
        """Reads no more. Whether a head is at fault or a body, the app says so, and the connection ends behind that."""
        self._refused = True
        self.flow.pause_reading()
        if self._in_head or not self.cycle.more_body:
            self._begin_refused(problem)
        else:
            cast("Scope", self.cycle.scope)[BODY] = problem
            self.cycle.message_event.set()
        self.cycle.keep_alive = False

    def _begin_refused(self, problem: Problem) -> None:
        """Begins a request of which nothing is known but that it is refused."""
        if self.scope is None:
            self.on_message_begin()
        self._end_head()
        method = self.parser.get_method().decode() if self.url else ""
        self.url, self.headers[:] = b"/", []
        super().on_headers_complete()
        cast("Scope", self.scope).update({HEAD: problem, "path": "", "raw_path": b"", "method": method})

    def _is_unread(self) -> bool:
        return self._refused or bool(self.pipeline) or (self.cycle is not None and self.cycle.more_body)  # type: ignore[redundant-expr] # yet

    def _begin_head(self) -> None:
        self._end_head()
        self._in_head = True
        self._deadline = self.loop.call_later(self._limits.head_seconds, self.transport.close)

    def _end_head(self) -> None:
        self._in_head, self._counted = False, 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

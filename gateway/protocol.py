"""HTTP/1.1 as uvicorn and httptools speak it, with four things that they leave open closed.

An `Upgrade` header (Java's client sends one with its first request) is ignored, as RFC 9110 allows: uvicorn would drop
the body and read it as the next request. A head may have MOST_HEAD_BYTES and HEAD_SECONDS: it comes before the key.
A caller who does not read the answer is let go after SEND_SECONDS. What is no HTTP is answered as a problem.
"""

import asyncio
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536
HEAD_SECONDS = 30.0
SEND_SECONDS = 60.0
UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings", b"connection"})


class TooMuchHeadError(Exception):
    """More header bytes than anybody needs."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """Takes what uvicorn gives."""
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Starts the clock."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops it."""
        self._end_head()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The caller does not read; close() would wait for it, holding the answer in memory."""
        super().pause_writing()
        self._stalled = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again, or is gone."""
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None
            super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; an upgrade is taken out of the head, and the rest read as if it had not been there."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
        except (httptools.HttpParserError, TooMuchHeadError):
            self.send_400_response("Not an HTTP request that can be read here.")

    def _feed(self, data: bytes) -> None:
        self.parser.feed_data(data)
        self._head_bytes += len(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            raise TooMuchHeadError

    def _without_upgrade(self, rest: bytes) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("This is no proxy.")
            return
        kept = [(name, value) for name, value in self.headers if name not in UPGRADE_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            kept.append((b"connection", b"close"))
        head = b"".join(b"%s: %s\r\n" % header for header in kept)
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, self.url, head, rest))

    def on_message_begin(self) -> None:
        """A new head."""
        super().on_message_begin()
        self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Counts headers, and trailers after a body too."""
        self._head_bytes += 0 if self._in_head else len(name) + len(value)
        if not self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            raise TooMuchHeadError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; that of an upgrade is read again without it."""
        self._end_head()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no request that an app could answer."""
        fields = {"type": "urn:fraud-detection:not_http", "title": msg, "status": 400}
        body = orjson.dumps(fields)
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n%s" % (len(body), body))
        self.transport.close()

    def _begin_head(self) -> None:
        self._end_head()
        self._in_head, self._head_bytes = True, 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._in_head, self._head_bytes = False, 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

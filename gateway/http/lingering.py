"""The end of a connection whose caller may still be sending.

To close it at once would reset it, since there are bytes that nobody read, and a reset overtakes the answer (RFC 9112,
9.6). So the way out is closed first, and the rest is read and thrown away: for so many bytes and seconds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LingerLimits:
    """How long a caller may go on sending what nobody reads.

    Attributes:
        most_bytes: of the rest of a body; more than a batch may have, so that who is a little over hears it.
        silent_seconds: without a byte.
        rounds: of so many seconds, in all.
    """

    max_bytes: int = 32_000_000
    idle_seconds: float = 5.0
    rounds: int = 6


class LingeringTransport:
    """A transport whose close() lets the caller read what was written.

    Attributes:
        lingering: it was closed, and reads on; nobody parses that.
    """

    def __init__(self, transport: asyncio.Transport, unread: Callable[[], bool], linger: LingerLimits) -> None:
        """Takes how to know whether the caller may still be sending."""
        self._transport = transport
        self._unread = unread
        self._limits = linger
        self._left = linger.max_bytes
        self._timer: asyncio.TimerHandle | None = None
        self.lingering = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        """All else is the transport's."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Closes the way out; the way in too, where nothing can come, or when it is closed again."""
        if self.is_closing() or not self._transport.can_write_eof() or not self._unread():
            self.disconnected()
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._wait(self._limits.rounds)

    def discard(self, data: bytes) -> None:
        """Throws away what came while it lingers."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def disconnected(self) -> None:
        """The connection has ended."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _wait(self, rounds: int) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.idle_seconds, self._check, rounds - 1, self._left)

    def _check(self, rounds: int, left: int) -> None:
        if rounds and self._left < left:
            self._wait(rounds)
        else:
            self._transport.abort()

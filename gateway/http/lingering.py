"""A lingering close: the end of a connection whose caller may still be sending.

To close it at once would reset it, since it holds bytes that were not read, and a reset overtakes the answer (RFC 9112,
9.6). So the sending direction is closed first, and what still arrives is read and discarded, within limits.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LingerLimits:
    """How long a caller may go on sending what is discarded.

    Attributes:
        max_bytes: of the rest of a body; more than a batch may have, so that a caller slightly over hears of it.
        idle_seconds: without a byte.
        rounds: periods of `idle_seconds`, in all.
    """

    max_bytes: int = 32_000_000
    idle_seconds: float = 5.0
    rounds: int = 6


class LingeringTransport:
    """A transport whose close() lets the caller read what was written; then it is `lingering`, and discards more."""

    def __init__(self, transport: asyncio.Transport, is_unread: Callable[[], bool], limits: LingerLimits) -> None:
        """Takes how to know whether the caller may still be sending."""
        self._transport = transport
        self._is_unread = is_unread
        self._limits = limits
        self._remaining = limits.max_bytes
        self._timer: asyncio.TimerHandle | None = None
        self.lingering = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        """All else is the transport's."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self.lingering or self._transport.is_closing()

    def close(self) -> None:
        """Closes for sending; for receiving too, where nothing can arrive, or when it is closed again."""
        if self.is_closing() or not self._transport.can_write_eof() or not self._is_unread():
            self.disconnected()
            self._transport.close()
            return
        self.lingering = True
        self._transport.write_eof()
        self._transport.resume_reading()
        self._schedule_check(self._limits.rounds)

    def discard(self, data: bytes) -> None:
        """Discards what arrived while it lingers."""
        self._remaining -= len(data)
        if self._remaining < 0:
            self._transport.abort()

    def disconnected(self) -> None:
        """The connection has ended."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _schedule_check(self, rounds: int) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.idle_seconds, self._check, rounds - 1, self._remaining)

    def _check(self, rounds: int, remaining: int) -> None:
        if rounds and self._remaining < remaining:
            self._schedule_check(rounds)
        else:
            self._transport.abort()

"""Sampled log lines of requests without a key, of which anybody can make any number.

Of each status one line is written per second, and then how many were suppressed.
"""

import asyncio
from collections import Counter

from gateway.logs import log

INTERVAL_SECONDS = 1.0


class LogSampler:
    """Decides which of these requests have a log line of their own."""

    def __init__(self, seconds: float = INTERVAL_SECONDS) -> None:
        self._seconds = seconds
        self._suppressed = Counter[int]()

    def is_first(self, status: int) -> bool:
        """Whether it is the first of its status in this interval; the others are counted."""
        if status in self._suppressed:
            self._suppressed[status] += 1
            return False
        self._suppressed[status] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._log_suppressed, status)
        return True

    def _log_suppressed(self, status: int) -> None:
        if more := self._suppressed.pop(status):
            log.info("more requests without a key", status=status, count=more)

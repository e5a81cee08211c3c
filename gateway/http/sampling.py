"""Log lines of requests that nobody has shown a key for: anybody can make any number of them.

Of each status one line is written in a second, and then how many more there were.
"""

import asyncio
from collections import Counter

from gateway.logs import log

SECOND = 1.0


class Sampling:
    """Which of these requests have a log line of their own."""

    def __init__(self, seconds: float = SECOND) -> None:
        """Takes for how long one line speaks for the others."""
        self._seconds = seconds
        self._untold = Counter[int]()

    def is_first(self, status: int) -> bool:
        """Whether it is the first of its status in a while; counts it where it is not."""
        if status in self._untold:
            self._untold[status] += 1
            return False
        self._untold[status] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._tell, status)
        return True

    def _tell(self, status: int) -> None:
        if more := self._untold.pop(status):
            log.info("more requests without a key", status=status, count=more)

"""A budget of retries to the model server, so that they do not make an outage worse.

A token bucket, as in Finagle and Envoy: each request adds a share of a token, each second one token, each retry takes
one. While nearly all requests succeed there is always a token; while all fail, at most a tenth of them are repeated.
"""

import time
from collections.abc import Callable

TOKENS_PER_ATTEMPT = 0.1
TOKENS_PER_SECOND = 1.0
MAX_TOKENS = 20.0
"""A worker that ends takes one request with it, and those that a closed connection carried: a few at a time."""


class RetryBudget:
    """Tokens for retries; one process has one for all requests to the live version."""

    def __init__(
        self, count_retry: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes what counts each retry for the metrics; the budget begins full."""
        self._count_retry = count_retry
        self._clock = clock
        self._tokens = MAX_TOKENS
        self._filled = clock()

    def record_attempt(self) -> None:
        """Adds what a first attempt earns, and what time has earned since."""
        now = self._clock()
        added = TOKENS_PER_ATTEMPT + (now - self._filled) * TOKENS_PER_SECOND
        self._tokens, self._filled = min(MAX_TOKENS, self._tokens + added), now

    @property
    def is_available(self) -> bool:
        """Whether there is a token."""
        return self._tokens >= 1

    def try_acquire(self) -> bool:
        """Takes a token for a retry; False where there is none."""
        if not self.is_available:
            return False
        self._tokens -= 1
        self._count_retry()
        return True

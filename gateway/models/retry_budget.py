"""How many requests to the model server may be sent a second time: few, so that an outage is not made worse by retries.

A token bucket, as in Finagle and Envoy: each request adds a share of a token, each second one token, each retry takes
one. While nearly all requests succeed there is always a token; while all fail, at most a tenth of them are repeated.
"""

import time
from collections.abc import Callable

SHARE = 0.1
"""Tokens that each first attempt adds."""
TOKENS_A_SECOND = 1.0
MAX_TOKENS = 20.0
"""A worker that ends takes one request with it, and those that a closed connection carried: a few at a time."""


class RetryBudget:
    """Tokens for retries; one process has one for all requests to the live version."""

    def __init__(self, count: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes what counts each retry for the metrics; the budget begins full."""
        self._count = count
        self._clock = clock
        self._tokens = MAX_TOKENS
        self._filled = clock()

    def attempt(self) -> None:
        """Notes a first attempt."""
        now = self._clock()
        added = SHARE + (now - self._filled) * TOKENS_A_SECOND
        self._tokens, self._filled = min(MAX_TOKENS, self._tokens + added), now

    @property
    def allows(self) -> bool:
        """Whether there is a token."""
        return self._tokens >= 1

    def try_acquire(self) -> bool:
        """Takes a token for a retry; False where there is none."""
        if not self.allows:
            return False
        self._tokens -= 1
        self._count()
        return True

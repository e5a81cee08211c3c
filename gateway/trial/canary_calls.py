"""Calls to a canary: requests do not wait long for one that hangs, and only a few of them at a time.

An upload keeps its scoring slot while it waits: were all slots held by a canary that hangs, callers whose rows the live
version scores would be told to come back.
"""

import asyncio

import numpy as np
from numpy.typing import NDArray

from gateway.http.problems import DeadlineExceeded
from gateway.models.model_calls import ModelCalls, ModelResponse
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import AdoptedModel

CANARY_TIMEOUT_SECONDS = 1.0
"""Patience with one call: a third of that with which an upload waits for its slot, so that nobody is refused for
a canary's sake. A whole file of 10 MB, 126,000 rows, takes the base model 0.2 s on one core."""
OVERLOAD_TIMEOUT_SECONDS = 0.25
"""Patience where enough others wait already: far more than a healthy version needs, so that under load alone an entity
keeps its side."""


class CanaryCalls:
    """Scores matrices by the canary, with bounded patience."""

    def __init__(self, calls: ModelCalls, live: ModelTracker, max_waiting: int) -> None:
        """Takes the way to the model server, whom to tell of a canary that hangs, and how many may wait for it."""
        self._calls = calls
        self._live = live
        self._max_waiting = max_waiting
        self._waiting = 0

    async def score(self, canary: AdoptedModel, matrix: NDArray[np.float32], until: float) -> ModelResponse | None:
        """Scores a matrix of at least one row; None where it took long and enough others wait for the canary.

        The end of the patience, at most `until`, is a time of the event loop.

        Raises:
            TimeoutError: it did not answer in time; the trial pauses until its version is proven again.
            Problem: it did not answer as it should.
        """
        if self._waiting >= self._max_waiting:
            return await self._score_over_limit(canary, matrix, until)
        self._waiting += 1
        try:
            return await self._score_within(CANARY_TIMEOUT_SECONDS, canary, matrix, until)
        except (TimeoutError, DeadlineExceeded):
            self._live.quarantine_trial(canary)
            raise
        finally:
            self._waiting -= 1

    async def _score_over_limit(
        self, canary: AdoptedModel, matrix: NDArray[np.float32], until: float
    ) -> ModelResponse | None:
        try:
            return await self._score_within(OVERLOAD_TIMEOUT_SECONDS, canary, matrix, until)
        except TimeoutError:
            return None

    async def _score_within(
        self, seconds: float, canary: AdoptedModel, matrix: NDArray[np.float32], until: float
    ) -> ModelResponse:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + seconds)):
            return await self._calls.score(canary, matrix)

"""Calls to a canary: a bulkhead that keeps one that hangs from holding the scoring slots of the live version's rows.

An upload keeps its scoring slot while it waits for the canary: were all slots held by a canary that hangs, callers
whose rows the live version scores would be told to come back.
"""

import asyncio
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from gateway.http.problems import DeadlineExceeded
from gateway.models.model_calls import ModelCalls, ModelResponse
from gateway.models.model_tracker import ModelTracker
from gateway.models.serving_versions import AdoptedModel

CANARY_TIMEOUT_SECONDS = 1.0
"""Of one call: a third of the time that an upload waits for its slot, so that nobody is refused for a canary's sake. A
whole file of 10 MB, 126,000 rows, takes the base model 0.2 s on one core."""
OVERLOAD_TIMEOUT_SECONDS = 0.25
"""Of a call beyond the bulkhead's limit: far more than a healthy version needs, so that under load alone an entity
stays with the version that scores it."""


class CanaryCalls:
    """Scores matrices by the canary, each within a timeout."""

    def __init__(self, calls: ModelCalls, tracker: ModelTracker, max_waiting: int) -> None:
        """Takes its collaborators, and how many calls may wait for the full timeout at a time."""
        self._calls = calls
        self._tracker = tracker
        self._max_waiting = max_waiting
        self._waiting = 0

    async def score(self, canary: AdoptedModel, matrix: NDArray[np.float32], deadline: float) -> ModelResponse | None:
        """Scores a matrix of at least one row; None where the call was over the limit and timed out.

        No call lasts beyond `deadline`, a time of the event loop.

        Raises:
            TimeoutError: it did not answer in time; the trial pauses until its version is proven again.
            Problem: it did not answer as it should.
        """
        if self._waiting >= self._max_waiting:
            with suppress(TimeoutError):
                return await self._score_within(OVERLOAD_TIMEOUT_SECONDS, canary, matrix, deadline)
            return None
        self._waiting += 1
        try:
            return await self._score_within(CANARY_TIMEOUT_SECONDS, canary, matrix, deadline)
        except (TimeoutError, DeadlineExceeded):
            self._tracker.quarantine_trial(canary)
            raise
        finally:
            self._waiting -= 1

    async def _score_within(
        self, seconds: float, canary: AdoptedModel, matrix: NDArray[np.float32], deadline: float
    ) -> ModelResponse:
        async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + seconds)):
            return await self._calls.score(canary, matrix)

"""Scores a request on two versions at once while a canary is on, and never fails for the canary's sake.

The canary has a second, at most half of the time that is left; whatever it does not score in that time the live
version scores in the rest. What each side fails to do is counted in the request's own tally.
"""

import asyncio
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.http.problems import Problem
from gateway.logs import log
from gateway.models.model_calls import ModelCalls, ModelResponse
from gateway.models.score_result import PartialScores
from gateway.models.serving_versions import AdoptedModel
from gateway.requests.payload import PreparedRows, TrialRows, no_trial_rows, trial_rows_of
from gateway.trial.canary_calls import CanaryCalls
from releases.trial_counts import TrialArm, TrialCounts


class CanaryRouter:
    """Scores prepared rows by the live version and a canary."""

    def __init__(self, live_calls: ModelCalls, canary_calls: CanaryCalls) -> None:
        """Takes a way to the model server for each: a canary that hangs must not hold the live one's connections."""
        self._live_calls = live_calls
        self._canary_calls = canary_calls

    async def score(
        self, prepared: PreparedRows, canary: AdoptedModel, deadline: float, counts: TrialCounts
    ) -> Sequence[PartialScores]:
        """The parts of the request, those without rows left out; the deadline is a time of the event loop.

        Raises:
            Problem: the live version did not answer as it should.
        """
        now = asyncio.get_running_loop().time()
        until = now + (deadline - now) / 2
        portion = await _read_trial_rows(prepared, canary, until, counts)
        counts.unreadable(portion.unreadable)
        rest = np.setdiff1d(np.arange(len(prepared.matrix)), portion.places, assume_unique=True)
        try:
            async with asyncio.TaskGroup() as group:
                live = group.create_task(self._score_by_live(prepared, rest, counts))
                trial = group.create_task(self._score_by_canary(prepared, portion, canary, until, counts))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return [part for part in (live.result(), trial.result()) if part]

    async def _score_by_canary(
        self, prepared: PreparedRows, portion: TrialRows, canary: AdoptedModel, until: float, counts: TrialCounts
    ) -> PartialScores | None:
        if not len(portion.places):
            return None
        answer = await self._canary_response(canary, portion, until, counts)
        if answer is None:
            return await self._score_by_live(prepared, portion.places, counts)
        return PartialScores(canary, portion.places, answer)

    async def _canary_response(
        self, canary: AdoptedModel, portion: TrialRows, until: float, counts: TrialCounts
    ) -> ModelResponse | None:
        """The canary's answer; None, and counted, where there is none."""
        started = time.perf_counter()
        try:
            answer = await self._canary_calls.score(canary, portion.matrix, until)
        except Exception as error:  # noqa: BLE001 - whatever a canary does, its rows are answered
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            _log_unexpected(canary, error)
            return None
        if answer is None:
            counts.dropped(len(portion.places))
        return answer

    async def _score_by_live(
        self, prepared: PreparedRows, places: NDArray[np.int64], counts: TrialCounts
    ) -> PartialScores | None:
        if not len(places):
            return None
        model, started = prepared.serving.model, time.perf_counter()
        try:
            answer = await self._live_calls.score(model, prepared.matrix[places])
        except (Exception, asyncio.CancelledError):  # cancelled by the deadline: the canary's task raises nothing
            counts.failed(TrialArm.LIVE, time.perf_counter() - started)
            raise
        return PartialScores(model, places, answer)


async def _read_trial_rows(
    prepared: PreparedRows, canary: AdoptedModel, until: float, counts: TrialCounts
) -> TrialRows:
    started = time.perf_counter()
    try:
        async with asyncio.timeout_at(until):
            return await prepared.given.work(trial_rows_of, prepared, canary)
    except Exception as error:  # noqa: BLE001 - likewise
        counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
        _log_unexpected(canary, error)
        return no_trial_rows(prepared, unreadable=0)


def _log_unexpected(canary: AdoptedModel, error: Exception) -> None:
    """A problem is counted; only what should not happen is logged."""
    if not isinstance(error, Problem | TimeoutError):
        log.error("canary failed", version=canary.version, exc_info=error)

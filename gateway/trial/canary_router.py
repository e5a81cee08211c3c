"""Scores a request on two versions at once while a canary is on, and never fails for the canary's sake.

The canary has a second, at most half of the time that is left; whatever it does not score in that time the live
version scores in the rest. The failures of each are counted for the trial.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class CanaryRouter:
    """Scores prepared rows by the live version and a canary, whose connections are its own: it may hang."""

    _live_calls: ModelCalls
    _canary_calls: CanaryCalls

    async def score(
        self, prepared: PreparedRows, canary: AdoptedModel, deadline: float, counts: TrialCounts
    ) -> Sequence[PartialScores]:
        """The scores of each version that scored any rows; the deadline is a time of the event loop.

        Raises:
            Problem: the live version did not answer as it should.
        """
        now = asyncio.get_running_loop().time()
        canary_deadline = now + (deadline - now) / 2
        rows = await _read_trial_rows(prepared, canary, canary_deadline, counts)
        counts.unreadable(rows.unreadable)
        rest = np.setdiff1d(np.arange(len(prepared.matrix)), rows.positions, assume_unique=True)
        try:
            async with asyncio.TaskGroup() as group:
                live = group.create_task(self._score_by_live(prepared, rest, counts))
                trial = group.create_task(self._score_by_canary(prepared, rows, canary, canary_deadline, counts))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        return [part for part in (live.result(), trial.result()) if part]

    async def _score_by_canary(
        self, prepared: PreparedRows, rows: TrialRows, canary: AdoptedModel, deadline: float, counts: TrialCounts
    ) -> PartialScores | None:
        """By the live version where the canary gives no scores; None without rows."""
        if not len(rows.positions):
            return None
        response = await self._call_canary(canary, rows, deadline, counts)
        if response is None:
            return await self._score_by_live(prepared, rows.positions, counts)
        return PartialScores(canary, rows.positions, response)

    async def _call_canary(
        self, canary: AdoptedModel, rows: TrialRows, deadline: float, counts: TrialCounts
    ) -> ModelResponse | None:
        """None, and counted, where the canary gives no scores."""
        started = time.perf_counter()
        try:
            response = await self._canary_calls.score(canary, rows.matrix, deadline)
        except Exception as error:  # noqa: BLE001 - whatever a canary does, its rows are answered
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            _log_unexpected(canary, error)
            return None
        if response is None:
            counts.dropped(len(rows.positions))
        return response

    async def _score_by_live(
        self, prepared: PreparedRows, positions: NDArray[np.int64], counts: TrialCounts
    ) -> PartialScores | None:
        """None without rows."""
        if not len(positions):
            return None
        model, started = prepared.serving.model, time.perf_counter()
        try:
            response = await self._live_calls.score(model, prepared.matrix[positions])
        except (Exception, asyncio.CancelledError):  # cancelled by the deadline: the canary's task raises nothing
            counts.failed(TrialArm.LIVE, time.perf_counter() - started)
            raise
        return PartialScores(model, positions, response)


async def _read_trial_rows(
    prepared: PreparedRows, canary: AdoptedModel, deadline: float, counts: TrialCounts
) -> TrialRows:
    started = time.perf_counter()
    try:
        async with asyncio.timeout_at(deadline):
            return await prepared.payload.work(trial_rows_of, prepared, canary)
    except Exception as error:  # noqa: BLE001 - whatever a canary's contract does, its rows are answered
        counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
        _log_unexpected(canary, error)
        return no_trial_rows(prepared, unreadable=0)


def _log_unexpected(canary: AdoptedModel, error: Exception) -> None:
    """A problem or a timeout is only counted."""
    if not isinstance(error, Problem | TimeoutError):
        log.error("canary failed", version=canary.version, exc_info=error)

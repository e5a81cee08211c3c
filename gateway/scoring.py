"""The use case: transactions in, a probability and a decision for each out, within the deadline.

All rows of a request are scored by the live version that it began with, but for those that a canary scores.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.history.fetching import History, RequestHistory
from gateway.http.problems import DeadlineExceeded
from gateway.http.request_log_context import add_versions
from gateway.metrics import Metrics
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.score_result import PartialScores, ScoreResult, merge_scores
from gateway.models.serving_versions import ServingVersions
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.requests.payload import OnError, Payload, PreparedRows, prepare, read
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Comparison, Shadow
from releases.record import TrialKind
from releases.trial_counts import TrialArm, TrialCounts

HISTORY_SHARE = 0.5
"""Of the time that is left, what history may take: the model needs the rest."""


@dataclass(frozen=True, slots=True)
class TrialServices:
    """What a trial needs beside the live version."""

    canary_router: CanaryRouter
    shadow: Shadow
    counts: TrialCountsWriter


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What a caller chose: how rows with faults are treated, and whether the transactions enter the history."""

    on_error: OnError = OnError.REFUSE
    record: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores files and transactions."""

    _tracker: ModelTracker
    _history: History
    _calls: ModelCalls
    _trial: TrialServices
    _metrics: Metrics
    _deadline_seconds: float

    async def score(self, payload: Payload, options: ScoreOptions) -> ScoreResult:
        """Scores the transactions of a file or of JSON objects.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        serving, counts = self._tracker.serving, TrialCounts()
        try:
            return await self._score_counted(payload, serving, options, counts)
        finally:
            if canary := serving.trial_of(TrialKind.CANARY):
                self._trial.counts.add(canary.trial, counts)

    async def _score_counted(
        self, payload: Payload, serving: ServingVersions, options: ScoreOptions, counts: TrialCounts
    ) -> ScoreResult:
        prepared, parts, history = await self._score_parts(payload, serving, options, counts)
        result = await payload.work(self._merge, prepared, parts, counts)
        self._history.record_answers(history, result)
        if shadow := serving.trial_of(TrialKind.SHADOW):
            seconds = sum(part.response.seconds for part in parts)
            self._trial.shadow.start(Comparison(shadow, prepared, result, seconds))
        add_versions(serving.model.version, {part.model.version for part in parts})
        if history.degraded:
            self._metrics.history_degraded.inc()
            return replace(result, degraded=("history",))
        return result

    async def _score_parts(
        self, payload: Payload, serving: ServingVersions, options: ScoreOptions, counts: TrialCounts
    ) -> tuple[PreparedRows, Sequence[PartialScores], RequestHistory]:
        """Reads, looks up the history and scores, again where another gateway entered some of the rows meanwhile."""
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                rows = await payload.work(read, payload, serving, options.on_error, self._metrics)
                history = await self._history.fetch(
                    serving, rows.table, payload.work, record=options.record, timeout_seconds=_history_timeout(deadline)
                )
                while True:
                    prepared = await payload.work(prepare, payload, serving, rows, history.values, self._metrics)
                    scores = self._call_models(prepared, deadline.when() or 0.0, counts)
                    parts, is_final = await asyncio.gather(scores, history.wait_written(_history_timeout(deadline)))
                    if is_final:
                        return prepared, parts, history
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _call_models(
        self, prepared: PreparedRows, deadline: float, counts: TrialCounts
    ) -> Sequence[PartialScores]:
        if not len(prepared.matrix):
            return ()
        with self._metrics.stage("model"):
            if canary := prepared.serving.trial_of(TrialKind.CANARY):
                return await self._trial.canary_router.score(prepared, canary.model, deadline, counts)
            model = prepared.serving.model
            response = await self._calls.score(model, prepared.matrix)
            return (PartialScores(model, np.arange(len(prepared.matrix)), response),)

    def _merge(self, prepared: PreparedRows, parts: Sequence[PartialScores], counts: TrialCounts) -> ScoreResult:
        for part in parts:
            self._metrics.predictions(part.model.version, part.decisions)
            arm = TrialArm.LIVE if part.model is prepared.serving.model else TrialArm.TRIAL
            if prepared.serving.trial_of(TrialKind.CANARY):
                counts.scored(arm, part.response.probabilities, part.decisions, part.response.seconds)
        return merge_scores(prepared.serving.model, prepared.rows, parts)


def _history_timeout(deadline: asyncio.Timeout) -> float:
    """Seconds that history may take from now on."""
    return HISTORY_SHARE * ((deadline.when() or 0.0) - asyncio.get_running_loop().time())

"""The use case: transactions in, a probability and a decision for each out, within the deadline.

All rows of a request are scored by the live version that it began with, but for those that a canary scores.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.history.features import History, RequestHistory
from gateway.http import request_log_context as answered
from gateway.http.problems import DeadlineExceeded
from gateway.metrics import Metrics
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.score_result import PartialScores, ScoreResult, scored
from gateway.models.serving_versions import ServingVersions
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.requests.payload import OnError, Payload, PreparedRows, csv_payload, json_payload, prepare, read
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Comparison, Shadow
from releases.record import TrialKind
from releases.trial_counts import TrialArm, TrialCounts

HISTORY_SHARE = 0.5
"""Of the time that is left, what history may take: the model needs the rest."""


@dataclass(frozen=True, slots=True)
class TrialServices:
    """What a trial needs beside the live version."""

    split: CanaryRouter
    shadow: Shadow
    tallies: TrialCountsWriter


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How a caller wants an input to be scored: what of bad rows, and whether it is remembered."""

    on_error: OnError = OnError.REFUSE
    record: bool = True


class Scorer:
    """Scores files and transactions."""

    def __init__(  # noqa: PLR0913, PLR0917 - it is where the parts of a request meet
        self,
        live: ModelTracker,
        history: History,
        calls: ModelCalls,
        trying: TrialServices,
        metrics: Metrics,
        deadline_seconds: float,
    ) -> None:
        """Takes its collaborators."""
        self._live = live
        self._history = history
        self._calls = calls
        self._trying = trying
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds

    async def score_csv(self, body: bytes, wish: ScoreOptions) -> ScoreResult:
        """Scores a CSV file.

        Raises:
            Problem: the file is at fault, or it cannot be scored now.
        """
        return await self._score(csv_payload(body), wish)

    async def score_json(self, objects: Sequence[object], wish: ScoreOptions) -> ScoreResult:
        """Scores JSON objects, one a transaction.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        return await self._score(json_payload(objects), wish)

    async def _score(self, given: Payload, wish: ScoreOptions) -> ScoreResult:
        serving, counts = self._live.serving, TrialCounts()
        try:
            whole = await self._whole(given, serving, wish, counts)
        finally:
            if canary := serving.trial_of(TrialKind.CANARY):
                self._trying.tallies.add(canary.trial, counts)
        return whole

    async def _whole(
        self, given: Payload, serving: ServingVersions, wish: ScoreOptions, counts: TrialCounts
    ) -> ScoreResult:
        prepared, score, past = await self._parts(given, serving, wish, counts)
        whole = await given.work(self._decided, prepared, score, counts)
        self._history.answered(past, whole)
        if shadow := serving.trial_of(TrialKind.SHADOW):
            seconds = sum(part.answer.seconds for part in score)
            self._trying.shadow.start(Comparison(shadow, prepared, whole, seconds))
        answered.note(serving.model.version, {part.model.version for part in score})
        return self._told(whole, past)

    def _told(self, whole: ScoreResult, past: RequestHistory) -> ScoreResult:
        if not past.degraded:
            return whole
        self._metrics.history_degraded.inc()
        return replace(whole, degraded=("history",))

    async def _parts(
        self, given: Payload, serving: ServingVersions, wish: ScoreOptions, counts: TrialCounts
    ) -> tuple[PreparedRows, Sequence[PartialScores], RequestHistory]:
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                reading = await given.work(read, given, serving, wish.on_error, self._metrics)
                wait = _share(deadline)
                past = await self._history.past(serving, reading.table, given.work, record=wish.record, seconds=wait)
                while True:
                    prepared = await given.work(prepare, given, serving, reading, past.values, self._metrics)
                    answers = self._answers(prepared, deadline.when() or 0.0, counts)
                    score, stands = await asyncio.gather(answers, past.settled(_share(deadline)))
                    if stands:
                        return prepared, score, past
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _answers(self, prepared: PreparedRows, deadline: float, counts: TrialCounts) -> Sequence[PartialScores]:
        if not len(prepared.matrix):
            return ()
        with self._metrics.stage("model"):
            if canary := prepared.serving.trial_of(TrialKind.CANARY):
                return await self._trying.split.score(prepared, canary.model, deadline, counts)
            model = prepared.serving.model
            answer = await self._calls.score(model, prepared.matrix)
            return (PartialScores(model, np.arange(len(prepared.matrix)), answer),)

    def _decided(self, prepared: PreparedRows, score: Sequence[PartialScores], counts: TrialCounts) -> ScoreResult:
        for part in score:
            self._metrics.predictions(part.model.version, part.decisions)
            side = TrialArm.LIVE if part.model is prepared.serving.model else TrialArm.TRIAL
            if prepared.serving.trial_of(TrialKind.CANARY):
                counts.scored(side, part.answer.probabilities, part.decisions, part.answer.seconds)
        return scored(prepared.serving.model, prepared.reading, score)


def _share(deadline: asyncio.Timeout) -> float:
    """Seconds that history may take from now on."""
    return HISTORY_SHARE * ((deadline.when() or 0.0) - asyncio.get_running_loop().time())

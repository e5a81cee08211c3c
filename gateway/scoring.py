"""The use case: transactions in, a probability and a decision for each out, within the deadline.

All rows of a request are scored by the live version that it began with, but for those that a canary scores.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.history.features import History, Past
from gateway.http import request_log as answered
from gateway.http.problems import DeadlineExceeded
from gateway.metrics import Metrics
from gateway.models.model_calls import ModelCalls
from gateway.models.scored import Part, Scored, scored
from gateway.models.serving import Serving
from gateway.models.tracker import Live
from gateway.models.trial_counts import Tallies
from gateway.requests.preparing import Input, OnError, Prepared, csv_input, json_input, prepare, read
from gateway.trial.canary_router import Split
from gateway.trial.shadow import Comparison, Shadow
from releases.record import TrialKind
from releases.trial_counts import Side, Tally

HISTORY_SHARE = 0.5
"""Of the time that is left, what history may take: the model needs the rest."""


@dataclass(frozen=True, slots=True)
class Trying:
    """What a trial needs beside the live version."""

    split: Split
    shadow: Shadow
    tallies: Tallies


@dataclass(frozen=True, slots=True)
class Wish:
    """How a caller wants an input to be scored: what of bad rows, and whether it is remembered."""

    on_error: OnError = OnError.REFUSE
    record: bool = True


class Scorer:
    """Scores files and transactions."""

    def __init__(  # noqa: PLR0913, PLR0917 - it is where the parts of a request meet
        self,
        live: Live,
        history: History,
        calls: ModelCalls,
        trying: Trying,
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

    async def score_csv(self, body: bytes, wish: Wish) -> Scored:
        """Scores a CSV file.

        Raises:
            Problem: the file is at fault, or it cannot be scored now.
        """
        return await self._score(csv_input(body), wish)

    async def score_json(self, objects: Sequence[object], wish: Wish) -> Scored:
        """Scores JSON objects, one a transaction.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        return await self._score(json_input(objects), wish)

    async def _score(self, given: Input, wish: Wish) -> Scored:
        serving, counts = self._live.serving, Tally()
        try:
            whole = await self._whole(given, serving, wish, counts)
        finally:
            if canary := serving.trial_of(TrialKind.CANARY):
                self._trying.tallies.add(canary.trial, counts)
        return whole

    async def _whole(self, given: Input, serving: Serving, wish: Wish, counts: Tally) -> Scored:
        prepared, parts, past = await self._parts(given, serving, wish, counts)
        whole = await given.work(self._decided, prepared, parts, counts)
        self._history.answered(past, whole)
        if shadow := serving.trial_of(TrialKind.SHADOW):
            seconds = sum(part.answer.seconds for part in parts)
            self._trying.shadow.begin(Comparison(shadow, prepared, whole, seconds))
        answered.note(serving.model.version, {part.model.version for part in parts})
        return self._told(whole, past)

    def _told(self, whole: Scored, past: Past) -> Scored:
        if not past.degraded:
            return whole
        self._metrics.history_degraded.inc()
        return replace(whole, degraded=("history",))

    async def _parts(
        self, given: Input, serving: Serving, wish: Wish, counts: Tally
    ) -> tuple[Prepared, Sequence[Part], Past]:
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                reading = await given.work(read, given, serving, wish.on_error, self._metrics)
                wait = _share(deadline)
                past = await self._history.past(serving, reading.table, given.work, record=wish.record, seconds=wait)
                while True:
                    prepared = await given.work(prepare, given, serving, reading, past.values, self._metrics)
                    answers = self._answers(prepared, deadline.when() or 0.0, counts)
                    parts, stands = await asyncio.gather(answers, past.settled(_share(deadline)))
                    if stands:
                        return prepared, parts, past
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _answers(self, prepared: Prepared, deadline: float, counts: Tally) -> Sequence[Part]:
        if not len(prepared.matrix):
            return ()
        with self._metrics.stage("model"):
            if canary := prepared.serving.trial_of(TrialKind.CANARY):
                return await self._trying.split.parts(prepared, canary.model, deadline, counts)
            model = prepared.serving.model
            answer = await self._calls.score(model, prepared.matrix)
            return (Part(model, np.arange(len(prepared.matrix)), answer),)

    def _decided(self, prepared: Prepared, parts: Sequence[Part], counts: Tally) -> Scored:
        for part in parts:
            self._metrics.predictions(part.model.version, part.decisions)
            side = Side.LIVE if part.model is prepared.serving.model else Side.TRIAL
            if prepared.serving.trial_of(TrialKind.CANARY):
                counts.scored(side, part.answer.probabilities, part.decisions, part.answer.seconds)
        return scored(prepared.serving.model, prepared.reading, parts)


def _share(deadline: asyncio.Timeout) -> float:
    """Seconds that history may take from now on."""
    return HISTORY_SHARE * ((deadline.when() or 0.0) - asyncio.get_running_loop().time())

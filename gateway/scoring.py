"""The use case: transactions in, a probability and a decision for each out, within the deadline.

All rows of a request are scored by the live version that it began with, but for those that a canary scores. The few
objects of a JSON request are scored together with those of other requests that wait (`gateway.coalescing`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from contract.notes import with_history
from contract.schema import Kind, Others
from contract.table import ParsedRows
from gateway.coalescing import Coalescer, CoalescingLimits, Outcome
from gateway.history.fetching import History, RequestHistory
from gateway.http.problems import DeadlineExceeded, Problem
from gateway.http.request_log_context import add_versions
from gateway.metrics import Metrics
from gateway.models.model_calls import ModelCalls
from gateway.models.model_tracker import ModelTracker
from gateway.models.score_result import PartialScores, ScoreResult, merge_scores
from gateway.models.serving_versions import ServingVersions
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.requests.joint_objects import JointCaller, JointRows, read_together
from gateway.requests.payload import OnError, Payload, PreparedRows, json_payload, prepare, read
from gateway.trial.canary_router import CanaryRouter
from gateway.trial.shadow import Comparison, Shadow
from releases.record import TrialKind
from releases.trial_counts import TrialArm, TrialCounts

HISTORY_SHARE = 0.5
"""Of the time that is left, what history may take: the model needs the rest."""
COALESCED_OBJECTS = 10
"""A request of more is scored by itself: it would hold up those that are scored with it."""
COALESCING = CoalescingLimits(max_in_flight=2, max_size=100, small_size=4, large_seconds=0.05, gather_seconds=0.002)
"""A batch is read in the event loop, and enters the history by one call, so it is bounded. Two small ones at a time:
one is read or merged here while the other is with Redis or the model. With two of any size 32 callers made batches of
12, and a request took a third more of the processor than with one batch at a time."""


@dataclass(frozen=True, slots=True)
class TrialServices:
    """What a trial needs beside the live version."""

    canary_router: CanaryRouter
    shadow: Shadow
    counts: TrialCountsWriter


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What a caller chose.

    Attributes:
        on_error: how rows with faults are treated.
        record: whether the transactions enter the history.
        columns: whether columns that the contract does not know are refused or ignored; its own choice if it ignores.
    """

    on_error: OnError = OnError.REFUSE
    record: bool = True
    columns: Others = Others.REFUSE


@dataclass(frozen=True, slots=True, eq=False)
class _Caller:
    """The objects of one request, on their way through the coalescer; `deadline` is a time of the event loop."""

    serving: ServingVersions
    objects: Sequence[object]
    options: ScoreOptions
    deadline: float


class Scorer:
    """Scores files and transactions."""

    def __init__(  # noqa: PLR0913, PLR0917 - the composition root's one call
        self,
        tracker: ModelTracker,
        history: History,
        calls: ModelCalls,
        trial: TrialServices,
        metrics: Metrics,
        deadline_seconds: float,
    ) -> None:
        """Takes its collaborators, and how long a request may take."""
        self._tracker = tracker
        self._history = history
        self._calls = calls
        self._trial = trial
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._coalescer = Coalescer(self._score_together, COALESCING)

    async def score(self, payload: Payload, options: ScoreOptions) -> ScoreResult:
        """Scores the transactions of a file or of many JSON objects.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        return self._answered(await self._score_payload(payload, self._tracker.serving, options))

    async def score_objects(self, objects: Sequence[object], options: ScoreOptions) -> ScoreResult:
        """Scores JSON objects, a few of them together with those of other requests.

        Raises:
            Problem: a transaction is at fault, or they cannot be scored now.
        """
        serving = self._tracker.serving
        # Rows of one batch see each other in the history: what is to leave no trace must not be among them.
        leaves_no_trace = serving.plan is not None and not options.record
        if len(objects) > COALESCED_OBJECTS or leaves_no_trace:
            return await self.score(json_payload(objects, options.columns), options)
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        caller = _Caller(serving, objects, options, deadline)
        try:
            # The tracker gives the same object until something of it changes.
            return self._answered(await self._coalescer.submit(id(serving), caller, len(objects), deadline))
        except TimeoutError:
            raise DeadlineExceeded from None

    async def close(self) -> None:
        """Waits for what is being scored for several requests."""
        await self._coalescer.close()

    def _answered(self, result: ScoreResult) -> ScoreResult:
        """Notes what a request is answered."""
        add_versions(result.model.version, result.scored_by)
        if result.degraded:
            self._metrics.history_degraded.inc()
        self._metrics.notes(result.noted.notes)
        return result

    async def _score_payload(self, payload: Payload, serving: ServingVersions, options: ScoreOptions) -> ScoreResult:
        try:
            async with asyncio.timeout(self._deadline_seconds) as deadline:
                rows = await payload.work(read, payload, serving, options.on_error, self._metrics)
                return await self._score_rows(payload, serving, rows, deadline.when() or 0.0, record=options.record)
        except TimeoutError:
            raise DeadlineExceeded from None

    async def _score_together(self, callers: Sequence[_Caller]) -> Sequence[Outcome[ScoreResult]]:
        """The outcome of each caller. One whose objects are at fault is scored by itself, and spoils no other's."""
        joint = read_together([each.objects for each in callers], callers[0].serving, self._metrics)
        shared = {share.place for share in joint.callers} if joint else set()
        alone = [place for place in range(len(callers)) if place not in shared]
        if not alone and joint:
            outcomes = await self._score_joint(callers, joint)
        else:
            outcomes = dict(zip(alone, await self._score_alone([callers[place] for place in alone]), strict=True))
            outcomes |= await self._score_joint(callers, joint) if joint else {}
        return [outcomes[place] for place in range(len(callers))]

    async def _score_alone(self, callers: Sequence[_Caller]) -> Sequence[Outcome[ScoreResult]]:
        """The outcome of each caller, scored by itself."""
        scores = (
            self._score_payload(json_payload(each.objects, each.options.columns), each.serving, each.options)
            for each in callers
        )
        return _outcomes(await asyncio.gather(*scores, return_exceptions=True))

    async def _score_joint(self, callers: Sequence[_Caller], joint: JointRows) -> dict[int, Outcome[ScoreResult]]:
        """The outcome of each caller whose rows were read together, by the caller's place."""
        places = [share.place for share in joint.callers]
        try:
            result = await self._score_joint_rows([callers[place] for place in places], joint)
        except (Problem, TimeoutError) as error:
            return dict.fromkeys(places, error)
        except Exception as error:  # noqa: BLE001 - whatever one caller's rows met: it is that caller's failure alone
            if len(places) == 1:
                return {places[0]: error}
            again = [share.place for share in joint.callers if self._may_repeat(callers[share.place], joint, share)]
            outcomes = await self._score_alone([callers[place] for place in again])
            return dict.fromkeys(places, error) | dict(zip(again, outcomes, strict=True))
        return {each.place: result.part(each.begin, each.end, each.first_number) for each in joint.callers}

    async def _score_joint_rows(self, callers: Sequence[_Caller], joint: JointRows) -> ScoreResult:
        """Scores them; they enter the history where there is one, for who is to leave no trace is not among them."""
        # The last one's: a caller whose own has passed has been answered, and the others go on.
        async with asyncio.timeout_at(max(each.deadline for each in callers)) as deadline:
            return await self._score_rows(
                joint.payload, callers[0].serving, joint.rows, deadline.when() or 0.0, record=True
            )

    def _may_repeat(self, caller: _Caller, joint: JointRows, share: JointCaller) -> bool:
        """Whether rows may be scored once more: they entered the history perhaps, and one without an id would twice."""
        if caller.serving.plan is None:
            return True
        column = caller.serving.model.contract.first(Kind.ID)
        return column is not None and bool(np.all(joint.rows.table.columns[column.name][share.begin : share.end] != ""))

    async def _score_rows(
        self, payload: Payload, serving: ServingVersions, rows: ParsedRows, deadline: float, *, record: bool
    ) -> ScoreResult:
        """Scores rows that have been read, and starts what follows an answer."""
        counts = TrialCounts()
        try:
            prepared, parts, history = await self._score_parts(payload, serving, rows, deadline, counts, record=record)
            result = await payload.work(self._merge, prepared, parts, counts)
            result = _with_history(result, history)
        finally:
            if canary := serving.trial_of(TrialKind.CANARY):
                self._trial.counts.add(canary.trial, counts)
        self._history.record_answers(history, result)
        if shadow := serving.trial_of(TrialKind.SHADOW):
            seconds = sum(part.response.seconds for part in parts)
            self._trial.shadow.start(Comparison(shadow, prepared, result, seconds))
        return replace(result, degraded=("history",)) if history.degraded else result

    async def _score_parts(  # noqa: PLR0913 - what a request is made of
        self,
        payload: Payload,
        serving: ServingVersions,
        rows: ParsedRows,
        deadline: float,
        counts: TrialCounts,
        *,
        record: bool,
    ) -> tuple[PreparedRows, Sequence[PartialScores], RequestHistory]:
        """Looks up the history and scores, again where another gateway entered some of the rows meanwhile."""
        history = await self._history.fetch(
            serving, rows.table, payload.work, record=record, timeout_seconds=_history_timeout(deadline)
        )
        while True:
            prepared = await payload.work(prepare, payload, serving, rows, history.values, self._metrics)
            written_by = asyncio.get_running_loop().time() + _history_timeout(deadline)
            parts = await self._call_models(prepared, deadline, counts)
            if await history.wait_written(written_by):  # It goes on beside the model.
                return prepared, parts, history

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
        return merge_scores(prepared.serving.model, prepared.rows, parts, prepared.noted)


def _with_history(result: ScoreResult, history: RequestHistory) -> ScoreResult:
    """The result with the notes of the history: which entities are new nobody knows while it is incomplete."""
    reused, new_entities = history.reused_ids, {} if history.degraded else history.new_entities
    column = result.model.contract.first(Kind.ID)
    if not len(reused) and not new_entities:
        return result
    noted = with_history(result.noted, new_entities, column.name if column else "", reused)
    return replace(result, noted=noted)


def _outcomes(results: Sequence[ScoreResult | BaseException]) -> list[Outcome[ScoreResult]]:
    """Of tasks that were awaited together; a cancellation is no outcome, and is raised."""
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result
    return [result for result in results if isinstance(result, ScoreResult | Exception)]


def _history_timeout(deadline: float) -> float:
    """Seconds that history may take from now on; the deadline is a time of the event loop."""
    return HISTORY_SHARE * (deadline - asyncio.get_running_loop().time())

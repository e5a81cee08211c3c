"""Scores a share of the rows on a second version after they have been answered, and compares.

It works in the background, a few requests at a time, over connections and a thread of its own: no request waits for
it, fails by it, or sees its scores.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from gateway.http.problems import Problem
from gateway.logs import log
from gateway.models.model_calls import ModelCalls, ModelResponse
from gateway.models.score_result import ScoreResult
from gateway.models.serving_versions import RunningTrial
from gateway.models.trial_counts_writer import TrialCountsWriter
from gateway.requests.payload import PreparedRows, TrialRows, trial_rows_of
from releases.trial_counts import TrialArm, TrialCounts

MAX_COMPARISONS = 4
"""Requests that are compared at a time; each holds its input in memory."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A request that the live version has answered; `live_seconds` are those of its call."""

    shadow: RunningTrial
    prepared: PreparedRows
    scored: ScoreResult
    live_seconds: float


class Shadow:
    """Compares in the background."""

    def __init__(self, calls: ModelCalls, tallies: TrialCountsWriter, seconds: float) -> None:
        """Takes its own way to the model server, and the patience with one comparison."""
        self._calls = calls
        self._tallies = tallies
        self._seconds = seconds
        self._tasks = set[asyncio.Task[None]]()
        # Of its own: the threads of asyncio.to_thread read what callers wait for.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")

    def start(self, comparison: Comparison) -> None:
        """Begins to compare and returns at once."""
        rows = len(comparison.prepared.chosen)
        if rows and len(self._tasks) < MAX_COMPARISONS:
            task = asyncio.create_task(self._compare(comparison))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif rows:
            self._tallies.add(comparison.shadow.trial, _dropped(rows))

    async def close(self) -> None:
        """Gives up what is being compared."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _compare(self, comparison: Comparison) -> None:
        until = asyncio.get_running_loop().time() + self._seconds
        try:
            counts = await self._counts(comparison, until)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is told, counted, and over
            _log_failure(comparison, error)
            counts = _dropped(len(comparison.prepared.chosen))
        self._tallies.add(comparison.shadow.trial, counts)

    async def _counts(self, comparison: Comparison, until: float) -> TrialCounts:
        async with asyncio.timeout_at(until):
            portion = await self._run_in_thread(lambda: trial_rows_of(comparison.prepared, comparison.shadow.model))
        counts = TrialCounts()
        counts.unreadable(portion.unreadable)
        answer = await self._score(comparison, portion, until, counts)
        if answer:
            await self._run_in_thread(lambda: _count(counts, comparison, portion, answer))
        return counts

    async def _score(
        self, comparison: Comparison, portion: TrialRows, until: float, counts: TrialCounts
    ) -> ModelResponse | None:
        if not len(portion.places):
            return None
        started = time.perf_counter()
        try:
            async with asyncio.timeout_at(until):
                return await self._calls.score(comparison.shadow.model, portion.matrix)
        except Exception as error:  # noqa: BLE001 - likewise
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            _log_failure(comparison, error)
            return None

    async def _run_in_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _count(counts: TrialCounts, comparison: Comparison, portion: TrialRows, answer: ModelResponse) -> None:
    """Counts both sides' scores for the compared rows."""
    places = portion.places
    ours = [comparison.scored.decisions[place] for place in places.tolist()]
    theirs = comparison.shadow.model.bands.decide(answer.probabilities)
    counts.scored(TrialArm.LIVE, comparison.scored.probabilities[places], ours, comparison.live_seconds)
    counts.scored(TrialArm.TRIAL, answer.probabilities, theirs, answer.seconds)
    counts.compared(ours, theirs)


def _dropped(rows: int) -> TrialCounts:
    counts = TrialCounts()
    counts.dropped(rows)
    return counts


def _log_failure(comparison: Comparison, error: Exception) -> None:
    """One line, without a value."""
    reason = error.code if isinstance(error, Problem) else type(error).__name__
    log.warning("shadow not compared", version=comparison.shadow.model.version, reason=reason)

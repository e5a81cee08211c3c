"""Scores a share of the rows by a second version after they have been answered, and compares.

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
    """A request that the live version has answered, by a call that took `live_seconds`."""

    shadow: RunningTrial
    prepared: PreparedRows
    live: ScoreResult
    live_seconds: float


class Shadow:
    """Compares in the background."""

    def __init__(self, calls: ModelCalls, counts: TrialCountsWriter, timeout_seconds: float) -> None:
        """Takes connections of its own to the model server, and how long one comparison may take."""
        self._calls = calls
        self._counts = counts
        self._timeout_seconds = timeout_seconds
        self._tasks = set[asyncio.Task[None]]()
        # Of its own: the threads of asyncio.to_thread read what callers wait for.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")

    def start(self, comparison: Comparison) -> None:
        """Starts a comparison and returns at once; over MAX_COMPARISONS its rows are counted as dropped."""
        rows = len(comparison.prepared.trial_positions)
        if rows and len(self._tasks) < MAX_COMPARISONS:
            task = asyncio.create_task(self._compare(comparison))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif rows:
            self._counts.add(comparison.shadow.trial, _dropped(rows))

    async def close(self) -> None:
        """Cancels what is being compared."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _compare(self, comparison: Comparison) -> None:
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            counts = await self._score_and_count(comparison, deadline)
        except Exception as error:  # noqa: BLE001 - no caller waits for it: it is logged and counted
            _log_failure(comparison, error)
            counts = _dropped(len(comparison.prepared.trial_positions))
        self._counts.add(comparison.shadow.trial, counts)

    async def _score_and_count(self, comparison: Comparison, deadline: float) -> TrialCounts:
        async with asyncio.timeout_at(deadline):
            rows = await self._run_in_thread(lambda: trial_rows_of(comparison.prepared, comparison.shadow.model))
        counts = TrialCounts()
        counts.unreadable(rows.unreadable)
        response = await self._score(comparison, rows, deadline, counts)
        if response:
            await self._run_in_thread(lambda: _count(counts, comparison, rows, response))
        return counts

    async def _score(
        self, comparison: Comparison, rows: TrialRows, deadline: float, counts: TrialCounts
    ) -> ModelResponse | None:
        """None without rows, or where the call failed, which is counted."""
        if not len(rows.positions):
            return None
        started = time.perf_counter()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._calls.score(comparison.shadow.model, rows.matrix)
        except Exception as error:  # noqa: BLE001 - no caller waits for it: it is logged and counted
            counts.failed(TrialArm.TRIAL, time.perf_counter() - started)
            _log_failure(comparison, error)
            return None

    async def _run_in_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)


def _count(counts: TrialCounts, comparison: Comparison, rows: TrialRows, response: ModelResponse) -> None:
    """Counts both arms' scores for the compared rows."""
    live, positions = comparison.live, rows.positions
    live_decisions = [live.decisions[position] for position in positions.tolist()]
    trial_decisions = comparison.shadow.model.bands.decide(response.probabilities)
    counts.scored(TrialArm.LIVE, live.probabilities[positions], live_decisions, comparison.live_seconds)
    counts.scored(TrialArm.TRIAL, response.probabilities, trial_decisions, response.seconds)
    counts.compared(live_decisions, trial_decisions)


def _dropped(rows: int) -> TrialCounts:
    counts = TrialCounts()
    counts.dropped(rows)
    return counts


def _log_failure(comparison: Comparison, error: Exception) -> None:
    """One line, without a value."""
    reason = error.code if isinstance(error, Problem) else type(error).__name__
    log.warning("shadow not compared", version=comparison.shadow.model.version, reason=reason)

"""What a trial is judged by: counts of what the live version and the one on trial did, side by side.

Each gateway counts for itself and puts its own totals into Redis, over what it put there before: to repeat a write
changes nothing, and a Redis that lost everything is whole again a moment later. Whoever judges adds the gateways up.
There are no ids, amounts or scores in it: only how many fell between fixed edges.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision
from releases.record import Trial

SCORE_EDGES = np.array([0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
"""Fraud is rare and scores are calibrated: most lie near zero, so the edges are even in the logarithm."""
SECONDS_EDGES = 0.001 * 2 ** (np.arange(60) / 4)
"""From 1 ms to 28 s, each 19% above the one before: a quantile is that exact."""
UNSEEN_ROWS = 0.5
"""Added to each bin in the stability index, whose logarithm knows no zero: of few rows an empty bin says little."""


class TrialArm(StrEnum):
    """Who did what is counted."""

    LIVE = "live"
    TRIAL = "trial"


def trial_key(trial: Trial) -> str:
    """The Redis key of a trial: a set with the name of each gateway that counts; its counts are at `key:name`."""
    return f"fraud:trial:{trial.version}:{trial.started}"


class TrialCounts:
    """Counts by name; names hold sides, decisions and bin numbers only."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        """Starts from these counts, or from nothing."""
        self.counts = Counter(counts or {})

    def scored(
        self, side: TrialArm, probabilities: NDArray[Any], decisions: Sequence[Decision], seconds: float
    ) -> None:
        """Counts one request to a side that was answered, and its rows."""
        self.counts[f"{side}:requests"] += 1
        self.counts[f"{side}:seconds:{np.searchsorted(SECONDS_EDGES, seconds)}"] += 1
        for decision, count in Counter(decisions).items():
            self.counts[f"{side}:decision:{decision}"] += count
        for place, count in Counter(np.searchsorted(SCORE_EDGES, probabilities, side="right").tolist()).items():
            self.counts[f"{side}:score:{place}"] += count

    def failed(self, side: TrialArm, seconds: float) -> None:
        """Counts one request to a side that gave no scores."""
        self.counts[f"{side}:requests"] += 1
        self.counts[f"{side}:errors"] += 1
        self.counts[f"{side}:seconds:{np.searchsorted(SECONDS_EDGES, seconds)}"] += 1

    def unreadable(self, rows: int) -> None:
        """Counts rows that the contract of the version on trial could not read; the live version scored them."""
        self.counts["unreadable"] += rows

    def dropped(self, rows: int) -> None:
        """Counts rows that the version on trial did not score since it was busy with others."""
        self.counts["dropped"] += rows

    def compared(self, live: Sequence[Decision], trial: Sequence[Decision]) -> None:
        """Counts rows that both sides scored, by both decisions."""
        for (ours, theirs), count in Counter(zip(live, trial, strict=True)).items():
            self.counts[f"both:{ours}:{theirs}"] += count

    @classmethod
    def total(cls, tallies: Iterable["TrialCounts"]) -> "TrialCounts":
        """Several gateways' counts as one."""
        total = cls()
        for tally in tallies:
            total.counts.update(tally.counts)
        return total

    def since(self, before: "TrialCounts") -> "TrialCounts":
        """What was counted after an earlier look; counts that went back, as a Redis was emptied, are left out."""
        added = {name: count - before.counts[name] for name, count in self.counts.items()}
        return TrialCounts({name: count for name, count in added.items() if count > 0})

    def arm(self, side: TrialArm) -> "ArmCounts":
        """What one side did."""
        return ArmCounts(
            requests=self.counts[f"{side}:requests"],
            errors=self.counts[f"{side}:errors"],
            decisions={decision: self.counts[f"{side}:decision:{decision}"] for decision in Decision},
            scores=tuple(self.counts[f"{side}:score:{place}"] for place in range(len(SCORE_EDGES) + 1)),
            seconds=tuple(self.counts[f"{side}:seconds:{place}"] for place in range(len(SECONDS_EDGES) + 1)),
        )

    @property
    def rows_compared(self) -> int:
        """Rows that both sides scored."""
        return sum(self._both().values())

    @property
    def decisions_that_differ(self) -> int:
        """Of them, those that the two sides decide differently."""
        return sum(count for (ours, theirs), count in self._both().items() if ours is not theirs)

    def _both(self) -> dict[tuple[Decision, Decision], int]:
        return {(ours, theirs): self.counts[f"both:{ours}:{theirs}"] for ours in Decision for theirs in Decision}


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one side did.

    Attributes:
        requests: to the model server, failed ones included.
        errors: of them, those without scores.
        decisions: scored rows by decision.
        scores: scored rows by the bin of their probability, between SCORE_EDGES.
        seconds: requests by the bin of their time, between SECONDS_EDGES.
    """

    requests: int
    errors: int
    decisions: Mapping[Decision, int]
    scores: tuple[int, ...]
    seconds: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Scored rows."""
        return sum(self.decisions.values())

    @property
    def flagged(self) -> int:
        """Of them, those that are not approved."""
        return self.rows - self.decisions[Decision.APPROVE]

    @property
    def alert_rate(self) -> float:
        """Share of scored rows that are not approved; 0 where none was scored."""
        return self.flagged / self.rows if self.rows else 0.0

    @property
    def error_rate(self) -> float:
        """Share of requests that gave no scores; 0 where there was none."""
        return self.errors / self.requests if self.requests else 0.0

    def latency(self, quantile: float) -> float:
        """Seconds that this share of requests took at most, up to 19% too high; 0 where there was none."""
        if not sum(self.seconds):
            return 0.0
        place = int(np.searchsorted(np.cumsum(self.seconds), quantile * sum(self.seconds)))
        return float(SECONDS_EDGES[min(place, len(SECONDS_EDGES) - 1)])


def score_counts(probabilities: NDArray[Any]) -> tuple[int, ...]:
    """Rows by the bin of their probability, between SCORE_EDGES."""
    places = np.searchsorted(SCORE_EDGES, probabilities, side="right")
    return tuple(np.bincount(places, minlength=len(SCORE_EDGES) + 1).tolist())


def stability_index(expected: Sequence[int], found: Sequence[int]) -> float:
    """Population stability index of two score distributions: below 0.1 alike, above 0.25 another; 0 without rows."""
    if not sum(expected) or not sum(found):
        return 0.0
    return float(stability_indices(np.array(expected), np.array(found)))


def stability_indices(expected: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.float64]:
    """The index for each pair of distributions: counts of shape (..., bins) to shape (...)."""
    before, after = (_shares(counts + UNSEEN_ROWS) for counts in (expected, found))
    return np.asarray(np.sum((after - before) * np.log(after / before), axis=-1))


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return shares

"""Counts by which a trial is judged: what the live version and the one on trial did.

Each gateway writes its own totals to Redis, over those that it wrote before: repeating a write changes nothing, and a
Redis that lost everything is complete again after the next one. Whoever judges adds the gateways up. The counts hold no
ids, amounts or scores: only how many fell between fixed edges.
"""

import itertools
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
SMOOTHING_ROWS = 0.5
"""Added to each bin in the stability index, whose logarithm has no value at zero: few rows leave empty bins."""


class TrialArm(StrEnum):
    """The arm of a trial that is counted."""

    LIVE = "live"
    TRIAL = "trial"


def trial_key(trial: Trial) -> str:
    """The Redis key of a trial: a set with the name of each gateway that counts; its counts are at `key:name`."""
    return f"fraud:trial:{trial.version}:{trial.started}"


class TrialCounts:
    """Counts by name; names hold arms, decisions and bin numbers only."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self.counts = Counter(counts or {})

    def scored(self, arm: TrialArm, probabilities: NDArray[Any], decisions: Sequence[Decision], seconds: float) -> None:
        """Counts one request that an arm answered, and its rows."""
        self.counts[f"{arm}:requests"] += 1
        self.counts[f"{arm}:seconds:{np.searchsorted(SECONDS_EDGES, seconds)}"] += 1
        for decision, count in Counter(decisions).items():
            self.counts[f"{arm}:decision:{decision}"] += count
        for bin_number, count in Counter(np.searchsorted(SCORE_EDGES, probabilities, side="right").tolist()).items():
            self.counts[f"{arm}:score:{bin_number}"] += count

    def failed(self, arm: TrialArm, seconds: float) -> None:
        """Counts one request to an arm that gave no scores."""
        self.counts[f"{arm}:requests"] += 1
        self.counts[f"{arm}:errors"] += 1
        self.counts[f"{arm}:seconds:{np.searchsorted(SECONDS_EDGES, seconds)}"] += 1

    def unreadable(self, rows: int) -> None:
        """Counts rows that the contract of the version on trial could not read; the live version scored them."""
        self.counts["unreadable"] += rows

    def dropped(self, rows: int) -> None:
        """Counts rows that the version on trial did not score since it was busy with others."""
        self.counts["dropped"] += rows

    def compared(self, live: Sequence[Decision], trial: Sequence[Decision]) -> None:
        """Counts rows that both arms scored, by both decisions."""
        for (on_live, on_trial), count in Counter(zip(live, trial, strict=True)).items():
            self.counts[f"both:{on_live}:{on_trial}"] += count

    @classmethod
    def total(cls, parts: Iterable["TrialCounts"]) -> "TrialCounts":
        """Several gateways' counts as one."""
        total = cls()
        for part in parts:
            total.counts.update(part.counts)
        return total

    def since(self, earlier: "TrialCounts") -> "TrialCounts":
        """What was counted after earlier totals; counts that decreased, as after a loss of Redis, are left out."""
        added = {name: count - earlier.counts[name] for name, count in self.counts.items()}
        return TrialCounts({name: count for name, count in added.items() if count > 0})

    def arm(self, arm: TrialArm) -> "ArmCounts":
        """What one arm did."""
        return ArmCounts(
            requests=self.counts[f"{arm}:requests"],
            errors=self.counts[f"{arm}:errors"],
            decisions={decision: self.counts[f"{arm}:decision:{decision}"] for decision in Decision},
            scores=tuple(self.counts[f"{arm}:score:{bin_number}"] for bin_number in range(len(SCORE_EDGES) + 1)),
            seconds=tuple(self.counts[f"{arm}:seconds:{bin_number}"] for bin_number in range(len(SECONDS_EDGES) + 1)),
        )

    @property
    def compared_rows(self) -> int:
        """Rows that both arms scored."""
        return sum(self._compared_counts().values())

    @property
    def differing_decisions(self) -> int:
        """Rows that the two arms decide differently."""
        return sum(count for (live, trial), count in self._compared_counts().items() if live is not trial)

    def _compared_counts(self) -> dict[tuple[Decision, Decision], int]:
        """Compared rows by the decisions of the live version and of the one on trial."""
        pairs = itertools.product(Decision, repeat=2)
        return {(live, trial): self.counts[f"both:{live}:{trial}"] for live, trial in pairs}


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What one arm did.

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
        bin_number = int(np.searchsorted(np.cumsum(self.seconds), quantile * sum(self.seconds)))
        return float(SECONDS_EDGES[min(bin_number, len(SECONDS_EDGES) - 1)])


def score_counts(probabilities: NDArray[Any]) -> tuple[int, ...]:
    """Rows by the bin of their probability, between SCORE_EDGES."""
    bins = np.searchsorted(SCORE_EDGES, probabilities, side="right")
    return tuple(np.bincount(bins, minlength=len(SCORE_EDGES) + 1).tolist())


def stability_index(expected: Sequence[int], observed: Sequence[int]) -> float:
    """Population stability index of two score distributions: below 0.1 alike, above 0.25 another; 0 without rows."""
    if not sum(expected) or not sum(observed):
        return 0.0
    return float(stability_indices(np.array(expected), np.array(observed)))


def stability_indices(expected: NDArray[np.int64], observed: NDArray[np.int64]) -> NDArray[np.float64]:
    """The index for each pair of distributions: counts of shape (..., bins) to shape (...)."""
    before, after = (_shares(counts + SMOOTHING_ROWS) for counts in (expected, observed))
    return np.asarray(np.sum((after - before) * np.log(after / before), axis=-1))


def _shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum(axis=-1, keepdims=True)
    return shares

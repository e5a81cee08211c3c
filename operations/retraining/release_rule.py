"""The rule by which a newly trained version is released, and its verdict.

1. To answer (canary, live), it must rank fraud better than the live version on rows that neither has learned from: in
   at least 90% of bootstrap samples its average precision is higher by more than the margin. To be scored beside the
   live one (shadow), where nothing is at risk, its average precision must not be lower by more than the margin.
2. On the same rows it must flag about as many transactions, by the thresholds in force: the bound is that of the
   release gate. The gate's other bound, on the scores, guards against a wrong model where no labels tell; here labels
   do, and a version that is far better than a poor live one has far other scores.

Nine in ten, since the newest period has few frauds and a difference is mostly chance: a version that is no better is
released by one scheduled training in ten and does no harm, and one that is 0.07 better is found at a few hundred
frauds (measured in `training.paired_evaluation`). An equal version is not better: training again on the same data
releases nothing.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from operations.errors import OperationsError
from operations.rollout import shift_gate
from operations.store.paired_scoring import ScoreSample
from operations.text.formatting import parse_share


class ReleaseMode(StrEnum):
    """What a version that passes is released as."""

    NONE = "none"
    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class ReleaseCriteria:
    """What the options of `fraud train` ask for.

    Attributes:
        margin: of the average precision, 0 to 1.
        share: of the cards that a canary answers for, as people write it.
    """

    goal: ReleaseMode
    margin: float = 0.0
    share: str = "5%"

    def __post_init__(self) -> None:
        """Refuses terms before a training is spent on them."""
        parse_share(self.share)
        if not 0 <= self.margin <= 1:
            raise OperationsError(f"a margin of average precision is from 0 to 1, not {self.margin}")

    def command(self, version: int) -> str:
        """What a person types to have the same."""
        options = {ReleaseMode.SHADOW: " --shadow", ReleaseMode.CANARY: f" --canary {self.share}"}
        return f"fraud release {version}{options.get(self.goal, '')}"


@dataclass(frozen=True, slots=True)
class ComparedVersion:
    """What one version made of the rows."""

    average_precision: float
    sample: ScoreSample


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """What two versions made of the same rows.

    Attributes:
        first: time of the oldest row as the data writes it; None where there is no time.
        last: time of the newest row.
        low: the difference of the average precisions, new less live, that 90% of the resamples reach at least.
        high: the one that 90% of them reach at most.
    """

    first: str | float | None
    last: str | float | None
    frauds: int
    new: ComparedVersion
    live: ComparedVersion
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """The comparison as a verdict's file holds it."""
        sides = {"new": self.new, "live": self.live}
        return {
            "first": self.first,
            "last": self.last,
            "rows": self.new.sample.rows,
            "frauds": self.frauds,
            "average_precision": {name: side.average_precision for name, side in sides.items()},
            "difference": {"low": self.low, "high": self.high},
            "alert_rate": {name: side.sample.alert_rate for name, side in sides.items()},
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one version.

    Attributes:
        live: the version that it was compared with; None where nothing is live.
        objection: why it is not released; None where it passed.
        compared: None where nothing could be compared.
    """

    version: int
    live: int | None
    criteria: ReleaseCriteria
    objection: str | None
    compared: VersionComparison | None = None

    @property
    def passed(self) -> bool:
        """Whether the rule lets it be released."""
        return self.objection is None

    def to_json(self) -> dict[str, Any]:
        """The verdict for a scheduled job."""
        return {
            "version": self.version,
            "live": self.live,
            "release": self.criteria.goal,
            "margin": self.criteria.margin,
            "passed": self.passed,
            "objection": self.objection,
            "compared": self.compared.to_json() if self.compared else None,
        }

    def lines(self) -> list[str]:
        """The verdict for a person."""
        lines = _comparison_lines(self.version, self.live, self.compared) if self.compared else []
        if self.passed:
            alone = "" if self.compared else ", for nothing is live yet"
            return [*lines, f"Version {self.version} is to be released as {self.criteria.goal}{alone}."]
        anyway = f"To do it all the same: {self.criteria.command(self.version)}"
        return [*lines, f"Version {self.version} is not released: {self.objection}.", anyway]


def objection(criteria: ReleaseCriteria, compared: VersionComparison) -> str | None:
    """The rule: why a version is not released on these terms; None where it passes."""
    difference = compared.new.average_precision - compared.live.average_precision
    if criteria.goal is ReleaseMode.SHADOW:
        if not difference >= -criteria.margin:
            return (
                f"its average precision is lower than the live version's by more than the margin of {criteria.margin:g}"
            )
    elif not compared.low > criteria.margin:
        better = difference > criteria.margin
        why = "chance may explain that its average precision is" if better else "its average precision is no better:"
        return f"{why} {difference:+.3f} (margin {criteria.margin:g})"
    changed = shift_gate.alert_shift(compared.live.sample, compared.new.sample)
    return f"it {changed}" if changed else None


def _comparison_lines(version: int, live: int | None, compared: VersionComparison) -> list[str]:
    new, old = compared.new, compared.live
    period = f" from {compared.first} to {compared.last}" if compared.first is not None else ""
    return [
        f"Version {version} against version {live}, which is live: {new.sample.rows:,} rows{period}, "
        f"{compared.frauds:,} of them fraud, that neither has learned from",
        f"  average precision  {new.average_precision:.3f} against {old.average_precision:.3f}; "
        f"the difference is from {compared.low:+.3f} to {compared.high:+.3f} (80% interval)",
        f"  flagged            {new.sample.alert_rate:.2%} against {old.sample.alert_rate:.2%}",
    ]

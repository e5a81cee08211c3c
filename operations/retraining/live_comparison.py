"""Compares a version that has just been trained with the live one, each scoring the same rows by its own contract."""

from functools import partial
from pathlib import Path

from contract.decision import NO_OVERRIDES, ThresholdOverrides
from operations.errors import OperationsError
from operations.retraining.release_rule import (
    ComparedVersion,
    ReleaseCriteria,
    ReleaseMode,
    Verdict,
    VersionComparison,
    objection,
)
from operations.store.paired_scoring import ScoreSample
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.version_archive import LoadedVersion, load_version
from training.errors import TrainingError
from training.paired_evaluation import ScoredVersion, evaluate_pairs, score_both
from training.train import TrainRequest, read


def compare_with_live(
    registry: Registry,
    version: int,
    data: Path | None,
    criteria: ReleaseCriteria,
    thresholds: ThresholdOverrides = NO_OVERRIDES,
) -> Verdict:
    """Judges a version against the live one of its store, on the newest rows of the data that it was trained on.

    What cannot be compared is not released: a verdict, not an error.

    Args:
        registry: where both are.
        version: the new one.
        data: None where it was trained on the simulator.
        criteria: what it would be released as.
        thresholds: those in force at the gateways.

    Raises:
        OperationsError: the release record, or the new version itself, cannot be read.
    """
    record, new = read_record(registry.root), load_version(registry, version)
    if record is None:  # The first version may go live: it can be no worse than none.
        why = "nothing is live that it could be tried beside; release a version first"
        return Verdict(version, None, criteria, None if criteria.goal is ReleaseMode.LIVE else why)
    try:
        compared = _compare(new, load_version(registry, record.version), data, thresholds)
    except (OperationsError, TrainingError) as error:
        why = f"it cannot be compared with version {record.version}, which is live: {str(error).rstrip('.')}"
        return Verdict(version, record.version, criteria, why)
    return Verdict(version, record.version, criteria, objection(criteria, compared), compared)


def _compare(
    new: LoadedVersion, live: LoadedVersion, data: Path | None, thresholds: ThresholdOverrides
) -> VersionComparison:
    ours, theirs = (ScoredVersion(each.contract, each.card, each.score) for each in (new, live))
    scores = score_both(ours, theirs, partial(read, request=TrainRequest(new.card.version, Path(), data)))
    outcome = evaluate_pairs(scores.labels, scores.new, scores.live, scores.weights)
    return VersionComparison(
        first=scores.first,
        last=scores.last,
        frauds=int(scores.labels.sum()),
        new=ComparedVersion(outcome.new, ScoreSample.of(thresholds.apply_to(new.card.bands), scores.new)),
        live=ComparedVersion(outcome.live, ScoreSample.of(thresholds.apply_to(live.card.bands), scores.live)),
        low=outcome.low,
        high=outcome.high,
    )

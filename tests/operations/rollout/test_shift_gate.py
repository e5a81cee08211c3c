"""The gate before a release; within a release it is tested in test_release.py."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.decision import NO_OVERRIDES, DecisionBands, ThresholdOverrides
from contract.golden import GoldenRows
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.shift_gate import (
    MIN_TRIAL_ROWS,
    alert_shift,
    check,
    scored_samples,
    shift,
    trial_samples,
)
from operations.store.paired_scoring import SamplePair, ScoreSample
from operations.store.registry import Registry
from releases.trial_counts import TrialArm, TrialCounts, score_counts
from tests.operations.conftest import contents, pack
from tests.operations.fake_torchserve import CONTRACT, GOLDEN, FakeTorchServe
from tests.tiny import card

BANDS = DecisionBands(0.1, 0.5)


def sample(rows: int, flagged: int) -> ScoreSample:
    """Rows of which some have a high score."""
    scores = np.concatenate([np.full(flagged, 0.4), np.full(rows - flagged, 0.0001)])
    return ScoreSample(rows, flagged, score_counts(scores))


@given(st.integers(1, 10_000).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(0, rows))))
def test_no_change_passes(rows_and_flagged: tuple[int, int]) -> None:
    """The same scores and decisions pass, however many there are."""
    assert shift(SamplePair(sample(*rows_and_flagged), sample(*rows_and_flagged))) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [((10_000, 100), (10_000, 280)), ((10_000, 280), (10_000, 100)), ((10_000, 20), (10_000, 0)), ((64, 2), (64, 64))],
)
def test_a_far_other_alert_rate_does_not_pass(before: tuple[int, int], after: tuple[int, int]) -> None:
    """Surely more than twice as many alerts, less than half, or none, is told with both rates."""
    assert "would flag" in str(shift(SamplePair(sample(*before), sample(*after))))


@pytest.mark.parametrize(
    ("before", "after"),
    [((10_000, 100), (10_000, 220)), ((10_000, 10), (10_000, 55)), ((64, 1), (64, 6)), ((64, 3), (64, 0))],
)
def test_a_small_change_passes(before: tuple[int, int], after: tuple[int, int]) -> None:
    """What chance may make of twice as many, or half a percent of all, passes."""
    assert alert_shift(sample(*before), sample(*after)) is None


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_direction_does_not_matter(first: int, second: int) -> None:
    """What stops a release stops the way back through the gate too."""
    one, other = sample(1000, first), sample(1000, second)
    assert (alert_shift(one, other) is None) == (alert_shift(other, one) is None)


def test_other_scores_do_not_pass_though_as_many_are_flagged() -> None:
    """Scores of another population are told although no decision changes."""
    low, high = np.full(1000, 0.0005), np.full(1000, 0.05)
    both = SamplePair.of((BANDS, low), (BANDS, high))
    assert "scores otherwise" in str(shift(both))


def test_what_passes_is_said() -> None:
    """The comparison is a line of the release."""
    messages: list[str] = []
    check(1, 2, SamplePair(sample(100, 1), sample(100, 2)), messages.append)
    assert messages == ["version 2: comparing with version 1: 1.0% of 100 rows flagged, now 2.0%"]


@pytest.mark.parametrize(("rows", "enough"), [(MIN_TRIAL_ROWS - 1, False), (MIN_TRIAL_ROWS, True)])
def test_a_trial_must_have_counted_enough(rows: int, enough: bool) -> None:
    """A few live transactions are no better than golden rows."""
    counts, scores = TrialCounts(), np.full(rows, 0.2)
    for side in TrialArm:
        counts.scored(side, scores, BANDS.decide(scores), 0.01)
    samples = trial_samples(counts)
    assert (samples is not None) is enough


def test_the_reference_samples_of_both_are_compared(
    target: DeploymentTarget, tmp_path: Path, torchserve: FakeTorchServe
) -> None:
    """Rows that an archive holds are taken, each once; of a version whose archive has none, its golden ones."""
    registry = Registry(tmp_path / "samples")
    sample = GoldenRows("payment,amount\na,0\nb,1\nc,1.5\n", (0.0, 0.25, 0.375))
    for version, held in ((1, {"reference.json": sample}), (2, {"reference.json": sample}), (3, {})):
        files = contents(version) | {name: json.dumps(rows.to_json()).encode() for name, rows in held.items()}
        registry.add(
            pack(tmp_path / f"{version}.mar", files), replace(card(version), data={"sha256": "0" * 64}), CONTRACT
        )
    torchserve.registered = {1: ["READY"], 2: ["READY"], 3: ["READY"]}
    target = replace(target, registry=registry)
    assert scored_samples(target, 1, 2, None).before.rows == 3
    assert scored_samples(target, 1, 3, None).before.rows == 3 + len(GOLDEN.probabilities)


def test_a_damaged_archive_of_the_live_version_hinders_no_release(
    target: DeploymentTarget, torchserve: FakeTorchServe
) -> None:
    """It scores on, and the gate takes its golden rows."""
    torchserve.registered = {1: ["READY"], 2: ["READY"]}
    (target.store / "fraud-1.mar").write_bytes(b"damaged")
    assert scored_samples(target, 1, 2, None).before.rows == len(GOLDEN.probabilities)


@pytest.mark.parametrize(
    ("thresholds", "flagged"),
    [(NO_OVERRIDES, (1, 3)), (ThresholdOverrides(0.3, 0.6), (2, 2)), (ThresholdOverrides(0.0), (4, 4))],
)
def test_both_are_judged_by_the_thresholds_in_force(
    target: DeploymentTarget, torchserve: FakeTorchServe, thresholds: ThresholdOverrides, flagged: tuple[int, int]
) -> None:
    """Each decides by its own card, but where the gateways override it."""
    torchserve.registered = {1: ["READY"], 2: ["READY"]}
    torchserve.descriptions[2] = replace(torchserve.describe(2), card=card(2, DecisionBands(0.1, 0.1)))
    rows = b"payment,amount\na,0\nb,1\nc,1.5\nd,3\n"  # Probabilities of 0, 0.25, 0.375 and 0.75.
    both = scored_samples(replace(target, thresholds=thresholds), 1, 2, rows)
    assert (both.before.rows, both.after.rows) == (4, 4)
    assert (both.before.flagged, both.after.flagged) == flagged

"""What chance may explain: how often it stops a release that it should not, and what it must not let pass."""

import numpy as np
import pytest
from numpy.typing import NDArray

from operations.rollout.shift_gate import MAX_ALERT_RATIO, MAX_STABILITY_INDEX
from operations.rollout.significance import BY_CHANCE, is_significantly_more, stability_lower_bound
from operations.store.paired_scoring import SamplePair, ScoreSample
from releases.trial_counts import SCORE_EDGES, stability_index

TRAFFIC = np.array([28306, 6432, 2908, 1214, 598, 170, 372]) / 40000
"""The share of each bin among the scores of the default version, on the newest 40,000 simulated transactions."""
BINS = len(SCORE_EDGES) + 1
TIMES = 100
AT_MOST = 4 * BY_CHANCE
"""What is asserted of TIMES repetitions, which are always the same ones."""


def moved(share: float) -> NDArray[np.float64]:
    """Two versions on the same rows, of which the second scores this share one bin higher: shape (BINS, BINS)."""
    up = np.eye(BINS) * (1 - share) + np.eye(BINS, k=1) * share
    up[-1, -1] = 1
    return TRAFFIC[:, None] * up


def truth(joint: NDArray[np.float64]) -> float:
    """The stability index that endless rows would have."""
    counts = np.round(joint * 1e12).astype(np.int64)
    return stability_index(tuple(counts.sum(axis=1)), tuple(counts.sum(axis=0)))


def drawn(joint: NDArray[np.float64], rows: int, draw: np.random.Generator, *, same: bool) -> SamplePair:
    """A sample of so many rows: the same for both, or each version's own."""
    before, after = joint.sum(axis=1), joint.sum(axis=0)
    if not same:
        return SamplePair(_sample(draw.multinomial(rows, before)), _sample(draw.multinomial(rows, after)))
    counts = draw.multinomial(rows, joint.ravel()).reshape(joint.shape)
    return SamplePair(_sample(counts.sum(axis=1)), _sample(counts.sum(axis=0)), counts)


def _sample(scores: NDArray[np.int64]) -> ScoreSample:
    return ScoreSample(int(scores.sum()), 0, tuple(scores.tolist()))


def refused(joint: NDArray[np.float64], rows: int, *, same: bool) -> float:
    """The share of such samples that are beyond the bound."""
    draw = np.random.default_rng(rows)
    samples = (drawn(joint, rows, draw, same=same) for _ in range(TIMES))
    return float(np.mean([stability_lower_bound(each) > MAX_STABILITY_INDEX for each in samples]))


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("rows", [64, 4096])
def test_at_the_bound_itself_chance_stops_few_releases(rows: int, same: bool) -> None:
    """Of versions whose true index is at the bound about one sample in a hundred is refused, of few rows or many."""
    joint = moved(0.33)
    assert truth(joint) == pytest.approx(MAX_STABILITY_INDEX, abs=0.01)
    assert refused(joint, rows, same=same) <= AT_MOST


@pytest.mark.parametrize("rows", [10, 64, 4096])
def test_versions_that_are_about_alike_always_pass(rows: int) -> None:
    """At several times the index that two seeds have (0.01) none is refused: 64 rows did so at an index of 0.59."""
    assert truth(moved(0.15)) > 0.05
    assert refused(moved(0.15), rows, same=True) == 0


@pytest.mark.parametrize("same", [True, False])
def test_another_population_is_seen_in_64_rows(same: bool) -> None:
    """Scores upside down, or all alike, are refused every time."""
    upside_down = np.fliplr(np.diag(TRAFFIC))
    alike = np.zeros((BINS, BINS))
    alike[:, 2] = TRAFFIC
    assert refused(upside_down, 64, same=same) == refused(alike, 64, same=same) == 1


def test_more_rows_see_smaller_shifts() -> None:
    """A true index of 0.36 is refused nearly always by the rows of two reference samples."""
    assert truth(moved(0.4)) == pytest.approx(0.36, abs=0.01)
    assert refused(moved(0.4), 4096, same=True) > 0.98


def flagging(flagged: int, rows: int) -> ScoreSample:
    """Rows of which so many are flagged."""
    return ScoreSample(rows, flagged, ())


@pytest.mark.parametrize("rows", [(64, 64), (4096, 4096), (20_000, 1000), (1000, 20_000)])
@pytest.mark.parametrize("rate", [0.002, 0.02, 0.2])
def test_at_the_ratio_itself_chance_stops_few_releases(rate: float, rows: tuple[int, int]) -> None:
    """Of versions that flag just so many times as much one sample in a hundred is told, of equal ones none."""
    draw = np.random.default_rng(1)
    for times, most in ((MAX_ALERT_RATIO, AT_MOST), (1.0, 0.0)):
        few, many = draw.binomial(rows[0], rate, TIMES), draw.binomial(rows[1], times * rate, TIMES)
        output = [
            is_significantly_more(flagging(one, rows[0]), flagging(other, rows[1]), MAX_ALERT_RATIO)
            for one, other in zip(few.tolist(), many.tolist(), strict=True)
        ]
        assert np.mean(output) <= most


def test_thresholds_on_another_scale_are_seen() -> None:
    """All rows flagged, or none of those that were, are more than chance from 2% of a reference sample on."""
    assert is_significantly_more(flagging(82, 4096), flagging(4096, 4096), MAX_ALERT_RATIO)
    assert is_significantly_more(flagging(0, 4096), flagging(82, 4096), MAX_ALERT_RATIO)
    assert not is_significantly_more(flagging(0, 64), flagging(2, 64), MAX_ALERT_RATIO)

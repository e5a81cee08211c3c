"""Whether a difference between two versions is statistically significant, so that few rows do not block a release.

A bound counts as exceeded only where samples of this size would exceed it by chance about once in a hundred times if
the true value were the bound itself. Where it is far below, as between two trainings that differ in their seed, they
never do; where it is far above, 64 rows suffice (tests/operations/rollout/test_significance.py measures it).
"""

import math

import numpy as np
from numpy.typing import NDArray

from operations.store.paired_scoring import SamplePair, ScoreSample
from releases.trial_counts import stability_index, stability_indices

BY_CHANCE = 0.01
DEVIATIONS = 2.326
"""Of a normal distribution, beyond which BY_CHANCE of it lies."""
RESAMPLES = 1000


def stability_lower_bound(both: SamplePair) -> float:
    """The lower end of a bootstrap interval of the population stability index of both samples.

    Resamples of the same rows are drawn as pairs. Their mean index is too high by as much as the sample's own is.
    """
    before, after = _resampled(both)
    drawn = stability_indices(before, after)
    index = stability_index(both.before.scores, both.after.scores)
    return float(index + np.quantile(drawn, BY_CHANCE) - drawn.mean())


def _resampled(both: SamplePair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Score counts of RESAMPLES samples like these, shape (RESAMPLES, bins) for each side."""
    draw = np.random.default_rng(0)
    if both.joint is not None:
        pairs = draw.multinomial(both.joint.sum(), both.joint.ravel() / both.joint.sum(), RESAMPLES)
        pairs = pairs.reshape(RESAMPLES, *both.joint.shape)
        return pairs.sum(axis=2), pairs.sum(axis=1)
    return _resample(both.before, draw), _resample(both.after, draw)


def _resample(side: ScoreSample, draw: np.random.Generator) -> NDArray[np.int64]:
    return draw.multinomial(side.rows, np.array(side.scores) / side.rows, RESAMPLES)


def is_significantly_more(fewer: ScoreSample, more: ScoreSample, times: float) -> bool:
    """Whether `more` flags significantly over `times` the share that `fewer` does.

    A test of two Poisson rates, given how many both flag together. It takes the samples as independent, which is
    conservative for samples of the same rows.
    """
    flagged = fewer.flagged + more.flagged
    part = times * more.rows / (fewer.rows + times * more.rows)
    return more.flagged - part * flagged > DEVIATIONS * math.sqrt(flagged * part * (1 - part))

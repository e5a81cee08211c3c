"""What chance may explain of a difference between two versions, so that few rows do not look like another model.

A bound counts as passed only where samples of so many rows would show as much by chance about once in a hundred times,
were the truth at the bound itself. Where it is far below, as between two trainings that differ in their seed, they
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
    """The stability index that the two have at least, whatever chance did: the lower end of a bootstrap interval.

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
    """Whether `more` flags over so many times the share that `fewer` does, whatever chance did.

    Given how many both flag together, at just so many times the share a known part of them is `more`'s (a test of two
    Poisson rates). Samples count as independent: of the same rows, which vary together, this asks for more.
    """
    flagged = fewer.flagged + more.flagged
    part = times * more.rows / (fewer.rows + times * more.rows)
    return more.flagged - part * flagged > DEVIATIONS * math.sqrt(flagged * part * (1 - part))

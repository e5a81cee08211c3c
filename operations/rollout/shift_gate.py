"""The gate before a release: would the new version flag about as many transactions as the live one does?

It compares on what there is, the best first: a file of recent transactions, what gateways counted while the version was
on trial, or the reference samples of both versions (`training.golden`; the golden rows of one whose archive has none).
It goes by the thresholds in force at the gateways, and a bound counts as passed where chance does not explain it
(`chance`). A model that is right about other transactions may well pass; one that was trained on the wrong column, or
has thresholds on another scale, does not.
"""

from collections.abc import Iterable
from functools import partial

import numpy as np

from contract.description import Description
from operations.errors import OperationsError
from operations.rollout.deployment import DeploymentTarget, Say
from operations.rollout.significance import is_significantly_more, stability_lower_bound
from operations.store import paired_scoring, version_archive
from operations.store.paired_scoring import CsvRows, SamplePair, ScoreSample, VersionScorer
from operations.store.version_archive import load_errors
from releases.trial_counts import TrialArm, TrialCounts, stability_index

MAX_ALERT_RATIO = 2.0
"""How many times as many, or as few, transactions may be flagged."""
MIN_DIFFERENCE = 0.005
"""A difference of the flagged shares below this is no matter, whatever the ratio, unless one of them flags nothing."""
MAX_STABILITY_INDEX = 0.25
"""The usual bound of the population stability index above which scores are another population's."""
MIN_TRIAL_ROWS = 1000
"""Rows that each side of a trial must have scored for its counts to decide."""


class ShiftTooLarge(OperationsError):
    """A release would change what is flagged, or nobody can know whether it would."""


def check(live: int, version: int, both: SamplePair, say: Say) -> None:
    """Lets a release pass that makes of some rows what the live version does, or about that.

    Raises:
        ShiftTooLarge: it would flag other transactions.
    """
    before, after = both.before, both.after
    rates = f"{before.alert_rate:.1%} of {before.rows} rows flagged, now {after.alert_rate:.1%}"
    say(f"version {version}: comparing with version {live}: {rates}")
    if reason := shift(both):
        raise ShiftTooLarge(f"version {version} {reason}; --accept-shift releases it all the same")


def shift(both: SamplePair) -> str | None:
    """In words, what changes beyond a bound; None where all is within."""
    if changed := alert_shift(both.before, both.after):
        return changed
    if not both.before.rows or not both.after.rows or (least := stability_lower_bound(both)) <= MAX_STABILITY_INDEX:
        return None
    index = stability_index(both.before.scores, both.after.scores)
    return (
        f"scores otherwise than the live version (population stability index {index:.2f}, "
        f"at least {least:.2f} whatever chance did, bound {MAX_STABILITY_INDEX})"
    )


def alert_shift(before: ScoreSample, after: ScoreSample) -> str | None:
    """In words, how the share of flagged rows changes beyond its bound; None where it is within."""
    fewer, more = sorted((before, after), key=lambda side: side.alert_rate)
    if after.flagged and more.alert_rate - fewer.alert_rate <= MIN_DIFFERENCE:  # To flag nothing is never a trifle.
        return None
    if is_significantly_more(fewer, more, MAX_ALERT_RATIO):
        return f"would flag {after.alert_rate:.1%} of transactions, the live version {before.alert_rate:.1%}"
    return None


def trial_samples(counts: TrialCounts) -> SamplePair | None:
    """What both sides made of live traffic during a trial; None where that was too little."""
    sides = [counts.arm(side) for side in TrialArm]
    if min(side.rows for side in sides) < MIN_TRIAL_ROWS:
        return None
    before, after = (ScoreSample(side.rows, side.flagged, side.scores) for side in sides)
    return SamplePair(before, after)


def scored_samples(target: DeploymentTarget, live: int, version: int, on: bytes | None) -> SamplePair:
    """What both versions make of the same rows: those of a CSV file, or their reference samples.

    Args:
        target: whose first server has both loaded.
        live: the version to compare with.
        version: the one to be released.
        on: the file; None takes what both versions brought from their training.

    Raises:
        ShiftTooLarge: there is no row that both can read.
        OperationsError: one of them does not answer.
    """
    described = [target.server.describe(each) for each in (live, version)]
    rows = [CsvRows(on)] if on is not None else [_reference_rows(target, each) for each in described]
    first, second = (
        VersionScorer(each.contract, target.thresholds.apply_to(each.card.bands), partial(target.server.score, each))
        for each in described
    )
    both = paired_samples(rows, first, second)
    if not both.before.rows:
        raise ShiftTooLarge(
            f"no row can be scored by version {version} and version {live}, so what would change cannot be known; "
            "try it with --shadow, give --on a file with the columns of both, or --accept-shift"
        )
    return both


def paired_samples(rows: Iterable[CsvRows], first: VersionScorer, second: VersionScorer) -> SamplePair:
    """What two versions make of all of these rows that both can read."""
    distinct = {each.text: each for each in rows}.values()  # Two trainings on the same data may bring the same rows.
    pairs = [paired_scoring.score_shared_rows(each, first, second) for each in distinct]
    before, after = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return SamplePair.of((first.bands, before), (second.bands, after))


def _reference_rows(target: DeploymentTarget, described: Description) -> CsvRows:
    """The rows that a version brought from its training; its golden ones where the store has no others to give."""
    with load_errors(f"what version {described.version} brought from its training"):
        sample = version_archive.read_reference(target.registry, described.version) or described.golden
        return CsvRows.of(sample, described.contract)

"""The gate before a release: would the new version flag about as many transactions as the live one does?

It compares on what there is, the best first: a file of recent transactions, what gateways counted while the version was
on trial, or the golden rows of both versions; always by the thresholds in force at the gateways. A model that is
right about other transactions may well pass the bounds below; one that was trained on the wrong column or has
thresholds on another scale does not.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from contract.decision import CARDS_OWN, Thresholds
from contract.description import Description
from contract.tally import SCORE_EDGES, Side, Tally, stability_index
from operations.errors import OperationsError
from operations.store import side_by_side
from operations.store.side_by_side import Sample, Scorer
from operations.torchserve.client import ModelServer

MOST_ALERT_RATIO = 2.0
"""How many times as many, or as few, transactions may be flagged."""
LEAST_DIFFERENCE = 0.005
"""A difference of the flagged shares below this is no matter, whatever the ratio."""
LEAST_ROWS = 3
"""Nor is one of so few rows."""
MOST_INSTABILITY = 0.25
"""The usual bound of the population stability index above which scores are another population's."""
ENOUGH_COUNTED = 1000
"""Rows that each side of a trial must have scored for its counts to decide."""


class ShiftTooLarge(OperationsError):
    """A release would change what is flagged, or nobody can know whether it would."""


def check(live: int, version: int, samples: tuple[Sample, Sample], say: Callable[[str], None]) -> None:
    """Lets a release pass that makes of some rows what the live version does, or about that.

    Raises:
        ShiftTooLarge: it would flag other transactions.
    """
    before, after = samples
    rates = f"{before.alert_rate:.1%} of {before.rows} rows flagged, now {after.alert_rate:.1%}"
    say(f"version {version}: comparing with version {live}: {rates}")
    if reason := shift(before, after):
        raise ShiftTooLarge(f"version {version} {reason}; --accept-shift releases it all the same")


def shift(before: Sample, after: Sample) -> str | None:
    """In words, what changes beyond a bound; None where all is within."""
    if changed := alert_shift(before, after):
        return changed
    index, most = stability_index(before.scores, after.scores), _most_instability(before, after)
    if index > most:
        return f"scores otherwise than the live version (population stability index {index:.2f}, bound {most:.2f})"
    return None


def alert_shift(before: Sample, after: Sample) -> str | None:
    """In words, how the share of flagged rows changes beyond its bound; None where it is within."""
    difference = abs(after.alert_rate - before.alert_rate)
    least = max(LEAST_DIFFERENCE, LEAST_ROWS / max(1, min(before.rows, after.rows)))
    low, high = sorted((before.alert_rate, after.alert_rate))
    if difference > least and high > MOST_ALERT_RATIO * low:
        return f"would flag {after.alert_rate:.1%} of transactions, the live version {before.alert_rate:.1%}"
    return None


def _most_instability(before: Sample, after: Sample) -> float:
    """The bound, and what chance alone adds to the index of so few rows: its mean is (bins - 1) (1/n + 1/m)."""
    chance = len(SCORE_EDGES) * (1 / max(1, before.rows) + 1 / max(1, after.rows))
    return MOST_INSTABILITY + chance


def counted(tally: Tally) -> tuple[Sample, Sample] | None:
    """What both sides made of live traffic during a trial; None where that was too little."""
    sides = [tally.side(side) for side in Side]
    if min(side.rows for side in sides) < ENOUGH_COUNTED:
        return None
    before, after = (Sample(side.rows, side.flagged, side.scores) for side in sides)
    return before, after


def scored(
    server: ModelServer, live: int, version: int, on: bytes | None, thresholds: Thresholds = CARDS_OWN
) -> tuple[Sample, Sample]:
    """What both versions make of the same rows: those of a CSV file, or their golden rows.

    Args:
        server: where both are loaded.
        live: the version to compare with.
        version: the one to be released.
        on: the file; None takes the golden rows of both.
        thresholds: those in force at the gateways.

    Raises:
        ShiftTooLarge: there is no row that both can read.
        OperationsError: one of them does not answer.
    """
    described = [server.describe(each) for each in (live, version)]
    texts = [on] if on is not None else [each.golden.csv.encode() for each in described]
    ours, theirs = (_scorer(server, each, thresholds) for each in described)
    pairs = [side_by_side.score(text, ours, theirs) for text in texts]
    before, after = (np.concatenate(each) for each in zip(*pairs, strict=True))
    if not len(before):
        raise ShiftTooLarge(
            f"no row can be scored by version {version} and version {live}, so what would change cannot be known; "
            "try it with --shadow, give --on a file with the columns of both, or --accept-shift"
        )
    return Sample.of(ours.bands, before), Sample.of(theirs.bands, after)


def _scorer(server: ModelServer, described: Description, thresholds: Thresholds) -> Scorer:
    return Scorer(described.contract, thresholds.over(described.card.bands), partial(server.score, described))

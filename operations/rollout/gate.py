"""The gate before a release: would the new version flag about as many transactions as the live one does?

It compares on what there is, the best first: what gateways counted while the version was on trial, a file of recent
transactions, or the golden rows of both versions. A model that is right about other transactions may well pass the
bounds below; one that was trained on the wrong column or has thresholds on another scale does not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.decision import Decision
from contract.description import Description
from contract.faults import NotText, Refused
from contract.features import to_matrix
from contract.table import Reading, read_csv
from contract.tally import SCORE_EDGES, Side, Tally, score_counts, stability_index
from operations.errors import OperationsError
from operations.torchserve import ModelServer

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


@dataclass(frozen=True, slots=True)
class Sample:
    """What one version made of some rows.

    Attributes:
        flagged: rows that it does not approve.
        scores: rows by the bin of their probability, between SCORE_EDGES.
    """

    rows: int
    flagged: int
    scores: tuple[int, ...]

    @property
    def alert_rate(self) -> float:
        """Share of rows that it does not approve."""
        return self.flagged / self.rows if self.rows else 0.0


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


def scored(server: ModelServer, live: int, version: int, on: bytes | None) -> tuple[Sample, Sample]:
    """What both versions make of the same rows: those of a CSV file, or their golden rows.

    Raises:
        ShiftTooLarge: there is no row that both can read.
        OperationsError: one of them does not answer.
    """
    ours, theirs = server.describe(live), server.describe(version)
    texts = [on] if on is not None else [each.golden.csv.encode() for each in (ours, theirs)]
    pairs = [pair for text in texts if (pair := _both(server, ours, theirs, text))]
    if not pairs:
        raise ShiftTooLarge(
            f"no row can be scored by version {version} and version {live}, so what would change cannot be known; "
            "try it with --shadow, give --on a file with the columns of both, or --accept-shift"
        )
    before, after = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return _sample(ours, before), _sample(theirs, after)


def _both(
    server: ModelServer, ours: Description, theirs: Description, text: bytes
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """The probabilities of both for the rows that both can read; None without such a row."""
    names = {column.name for each in (ours, theirs) for column in each.contract.columns}
    try:
        first, second = (read_csv(each.contract, text, others=names) for each in (ours, theirs))
    except (NotText, Refused):
        return None
    common = np.intersect1d(first.table.row_numbers, second.table.row_numbers)
    if not len(common):
        return None
    return _probabilities(server, ours, first, common), _probabilities(server, theirs, second, common)


def _probabilities(
    server: ModelServer, described: Description, reading: Reading, numbers: NDArray[np.int64]
) -> NDArray[np.float32]:
    table = reading.table.take(np.isin(reading.table.row_numbers, numbers))
    return server.score(described, to_matrix(described.contract, table))


def _sample(described: Description, probabilities: NDArray[np.float32]) -> Sample:
    decisions = described.card.bands.decide(probabilities)
    flagged = sum(decision is not Decision.APPROVE for decision in decisions)
    return Sample(len(probabilities), flagged, score_counts(probabilities))

"""Which rows train, validate and test in each protocol; labels are used only when they were known.

The Handbook's (chapters 5 and 7): train on seven days, skip the seven that a label takes, test on seven; a test day is
without the cards whose fraud was known by then: those of the training week, and those of the days after it up to eight
days before. (A day's labels are all known when its last second is seven days old.) Four test weeks follow each other.

What a published fold does not have is a validation period. Here it is the week before the training week, its known
cards left out by the same rule: its labels are older than the training's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Days = NDArray[np.int64]

WEEK = 7
FIRST_DAY = pd.Timestamp("2018-04-01")
"""Day 0 of the Handbook's data."""
TEST_STARTS = ("2018-07-25", "2018-08-01", "2018-08-08", "2018-08-15")
"""First days of the published training weeks."""
EARLIER_STARTS = ("2018-06-20", "2018-06-27", "2018-07-04", "2018-07-11")
"""Of the weeks that settings are chosen on, the book's too: their test weeks end before a published one begins."""
LONG_TRAIN, LONG_VALIDATION, LONG_TEST = (31, 120), (128, 141), (149, 156)
"""First and last days."""
CARDS_TRAIN_END = 120_162
"""Seconds of `Time`; the rows after it are the test."""
CARDS_VALIDATION_SHARE = 0.2
"""Of the training rows, the newest: they choose the epoch and the calibration."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows of each period, as flags of shape (rows,)."""

    name: str
    train: Flags
    validation: Flags
    test: Flags


def day_numbers(times: pd.Series) -> Days:
    """Whole days since day 0, shape (rows,)."""
    return np.asarray((times - FIRST_DAY).dt.days, dtype=np.int64)


def handbook_folds(days: Days, cards: NDArray[np.int64], frauds: Flags, starts: tuple[str, ...]) -> Iterator[Fold]:
    """The published folds whose training weeks begin on these dates; arrays have the shape (rows,)."""
    for start in starts:
        first = (pd.Timestamp(start) - FIRST_DAY).days
        train = _between(days, first, first + WEEK - 1)
        validation = without_known(days, cards, frauds, first - WEEK)
        yield Fold(start, train, validation, without_known(days, cards, frauds, first + 2 * WEEK))


def without_known(days: Days, cards: NDArray[np.int64], frauds: Flags, first: int) -> Flags:
    """The week from day `first`, each day without the cards whose fraud was known by then.

    Known are the frauds from the first day of the training week, two weeks before, until eight days before the day.
    """
    selected = np.zeros(len(days), dtype=np.bool_)
    for day in range(first, first + WEEK):
        known = np.unique(cards[frauds & _between(days, first - 2 * WEEK, day - WEEK - 1)])
        selected |= (days == day) & ~np.isin(cards, known)
    return selected


def long_fold(days: Days) -> Fold:
    """Ninety days to train on, validation and test each behind a gap of a week."""
    parts = (_between(days, *part) for part in (LONG_TRAIN, LONG_VALIDATION, LONG_TEST))
    return Fold("long", *parts)


def earlier_long_fold(days: Days) -> Fold:
    """The same four weeks earlier, to choose settings on: its test ends as the long protocol's validation begins."""
    parts = (_between(days, first - 28, last - 28) for first, last in ((59, 120), LONG_VALIDATION, LONG_TEST))
    return Fold("earlier", *parts)


def cards_fold(seconds: NDArray[np.float64]) -> Fold:
    """Train until 120,162 s, the last fifth of it for validation; test after it. `seconds` ascend, shape (rows,)."""
    known = seconds <= CARDS_TRAIN_END
    newest = np.arange(len(seconds)) >= round(int(known.sum()) * (1 - CARDS_VALIDATION_SHARE))
    return Fold("cards", known & ~newest, known & newest, ~known)


def _between(days: Days, first: int, last: int) -> Flags:
    return (days >= first) & (days <= last)

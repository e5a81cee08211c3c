"""Periods in order of time: train | gap | validation | gap | test. Never random.

A label is known only days after its transaction, so the newest days before a period were not yet labelled when a
model for it would have been trained: the gap leaves them out. Rows of one moment are never parted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.windows import DAY
from training.errors import TrainingError
from training.quantity import quantity
from training.schema_history import LABEL_DELAY

TRAIN_SHARE, TEST_SHARE = 0.7, 0.15
"""Shares of the rows: where the validation begins, and what the test takes from the end."""
MIN_ROWS, MIN_PERIOD_ROWS = 100, 10
"""Rows: below these every figure would be luck."""
GAP_SHARES = (0.5, 0.1)
"""Of the validation period that a gap may take at most; the second where the first leaves too few rows."""


@dataclass(frozen=True, slots=True)
class Split:
    """Periods as positions of the ordered rows; `gap` is the seconds left out before validation and before test."""

    train: slice
    validation: slice
    test: slice
    gap: float
    notes: tuple[str, ...] = ()

    def sizes(self) -> dict[str, int]:
        """Rows by period."""
        return {name: part.stop - part.start for name, part in self.periods().items()}

    def periods(self) -> dict[str, slice]:
        """The periods by name, in order of time."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def split(rows: int, seconds: NDArray[np.float64] | None, label_delay: float = LABEL_DELAY) -> Split:
    """Cuts the ordered rows into periods; `seconds` is ascending, shape (rows,), NaN first, or None.

    `label_delay` is how many seconds a label takes to arrive.

    Raises:
        TrainingError: there are too few rows.
    """
    if rows < MIN_ROWS:
        raise TrainingError(
            f"The data has {quantity(rows, 'row')}; at least {MIN_ROWS} are needed to train and to judge."
        )
    if seconds is not None:
        timed = np.where(np.isnan(seconds), -np.inf, seconds)
        for by_time in (_by_time(timed, label_delay, share) for share in GAP_SHARES):
            if min(by_time.sizes().values()) >= MIN_PERIOD_ROWS:
                return by_time
    return _by_row(rows, timed=seconds is not None)


def known_rows(
    cut: Split, seconds: NDArray[np.float64] | None, confirmed: NDArray[np.float64] | None
) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """The positions of each period's rows, ascending, without labels that came too late; and notes on these.

    A model that is measured on the test period could have been trained when that began: what the file says became
    known later (`confirmed`, NaN where it says nothing) is neither learned from nor calibrated on.
    """
    rows = {name: np.arange(part.start, part.stop) for name, part in cut.periods().items()}
    if seconds is None or confirmed is None:
        return rows, ()
    late = confirmed > seconds[cut.test.start]
    known = {name: some if name == "test" else some[~late[some]] for name, some in rows.items()}
    missing = sum(len(rows[name]) - len(known[name]) for name in rows)
    if not missing:
        return rows, ()
    return known, (f"Labels that became known only after the test period began, left out before it: {missing:,} rows.",)


def _by_row(rows: int, *, timed: bool) -> Split:
    why = "The times do not part the rows into periods" if timed else "The schema has no timestamp"
    begin, end = round(rows * TRAIN_SHARE), round(rows * (1 - TEST_SHARE))
    note = f"{why}: the file's order of rows was taken for the order of time, without a label-delay gap."
    return Split(slice(0, begin), slice(begin, end), slice(end, rows), 0.0, (note,))


def _by_time(seconds: NDArray[Any], label_delay: float, share: float) -> Split:
    rows = len(seconds)
    validation = float(seconds[round(rows * TRAIN_SHARE)])
    test = float(seconds[round(rows * (1 - TEST_SHARE))])
    first = float(seconds[np.isfinite(seconds)][0])
    gap = max(0.0, min(label_delay, share * (test - validation), share / 2 * (validation - first)))
    cuts = np.searchsorted(seconds, [validation - gap, validation, test - gap, test]).tolist()
    return Split(slice(0, cuts[0]), slice(cuts[1], cuts[2]), slice(cuts[3], rows), gap, _gap_note(gap, label_delay))


def _gap_note(gap: float, label_delay: float) -> tuple[str, ...]:
    if gap == label_delay:
        return ()
    needed = f"a label-delay gap of {label_delay / DAY:.3g} days"
    return (
        f"The data spans too short a time for {needed}: it is {gap / DAY:.3g} days. Labels were learned from that "
        "nobody has so early, so the figures are a little too good.",
    )

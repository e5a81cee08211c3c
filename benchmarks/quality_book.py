"""The 15 features of the Fraud Detection Handbook, as its chapter 3 defines them.

They are computed here and not by history windows, because two things differ from what this product serves: the book's
window of a customer contains the transaction itself, and its windows move by the second. Where both say the same
(whole hours, a terminal's window that ends a week ago) the two give equal values: a test compares them.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.windows import DAY

WINDOWS = (1, 7, 30)
"""Days."""
DELAY = 7
"""Days that a label takes to arrive."""
NIGHT_ENDS = 6
"""The last hour that counts as night."""
WEEKEND_BEGINS = 5
"""Monday is 0."""
Values = NDArray[np.float64]
Codes = NDArray[np.int64]


def book_features(frame: pd.DataFrame) -> pd.DataFrame:
    """The features of transactions in order of time, float64, a column each.

    Args:
        frame: TX_DATETIME, CUSTOMER_ID, TERMINAL_ID, TX_AMOUNT and TX_FRAUD, in order of time.
    """
    times = frame["TX_DATETIME"].dt
    features = {
        "TX_AMOUNT": frame["TX_AMOUNT"].to_numpy(dtype=np.float64),
        "TX_DURING_WEEKEND": (times.day_of_week >= WEEKEND_BEGINS).to_numpy(dtype=np.float64),
        "TX_DURING_NIGHT": (times.hour <= NIGHT_ENDS).to_numpy(dtype=np.float64),
    }
    return pd.DataFrame(features | _of_customers(frame) | _of_terminals(frame), index=frame.index)


def _of_customers(frame: pd.DataFrame) -> dict[str, Values]:
    """How many transactions and their mean amount, the transaction itself among them."""
    seconds, codes = _seconds(frame), _codes(frame["CUSTOMER_ID"])
    amounts = frame["TX_AMOUNT"].to_numpy(dtype=np.float64)
    result: dict[str, Values] = {}
    for days in WINDOWS:
        within = within_days(seconds, codes, days)
        result[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = count = within(np.ones(len(codes)))
        result[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = within(amounts) / count
    return result


def _of_terminals(frame: pd.DataFrame) -> dict[str, Values]:
    """How many transactions and the share of fraud among them, of a window that ended a week ago."""
    seconds, codes = _seconds(frame), _codes(frame["TERMINAL_ID"])
    ones, frauds = np.ones(len(codes)), frame["TX_FRAUD"].to_numpy(dtype=np.float64)
    recent = within_days(seconds, codes, DELAY)
    result: dict[str, Values] = {}
    for days in WINDOWS:
        within = within_days(seconds, codes, DELAY + days)
        result[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = count = within(ones) - recent(ones)
        result[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = (within(frauds) - recent(frauds)) / np.maximum(count, 1.0)
    return result


def within_days(seconds: Values, codes: Codes, days: int) -> Callable[[Values], Values]:
    """A function that sums values, shape (rows,), over the entity's last `days`: (t - days, t], the row itself too.

    Rows of equal time see those that stand before them, and themselves: as pandas' rolling windows do.
    """
    order = np.lexsort((np.arange(len(codes)), seconds, codes))
    shift = 2 * float(np.ptp(seconds)) + (DELAY + max(WINDOWS) + 1) * DAY if len(codes) else 0.0
    line = codes[order] * shift + (seconds[order] - seconds.min(initial=np.inf))
    begins = np.searchsorted(line, line - days * DAY, side="right")

    def total(values: Values) -> Values:
        sums = np.concatenate([[0.0], np.cumsum(values[order])])
        result = np.empty(len(values))
        result[order] = sums[1:] - sums[begins]
        return result

    return total


def _seconds(frame: pd.DataFrame) -> Values:
    return frame["TX_DATETIME"].to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9


def _codes(entities: pd.Series) -> Codes:
    codes, _ = pd.factorize(entities)
    return codes.astype(np.int64)

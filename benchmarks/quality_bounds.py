"""What bounds the score of a compromised terminal: its first frauds cannot be told before a label of one is known.

In scenario 2 every transaction at a terminal is fraud for 28 days, and nothing else about them is unusual. Before the
first label arrives nobody can know. What a model could do at best is shown by one that knows the simulator's rule and
needs a label only to learn that a terminal is compromised: from then on it flags each of its transactions until the
28 days are over.
"""

import numpy as np
from numpy.typing import NDArray

from training.split import DAY

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

COMPROMISED_DAYS = 28
LABEL_DELAY = 7 * DAY


def known_compromised(
    seconds: Floats, days: Codes, terminals: Codes, by_terminal: NDArray[np.bool_], delay: float = LABEL_DELAY
) -> Floats:
    """1 where the compromise of the row's terminal is known and may last, else 0; shape (rows,), as each argument.

    Args:
        seconds: of the transactions, ascending.
        days: whole days.
        terminals: a number for each.
        by_terminal: which are frauds of scenario 2.
        delay: seconds until a label is known.
    """
    score = np.zeros(len(seconds))
    order = np.argsort(terminals, kind="stable")
    begins = np.searchsorted(terminals[order], np.unique(terminals[by_terminal]), side="left")
    for begin in begins:
        end = np.searchsorted(terminals[order], terminals[order[begin]], side="right")
        rows = order[begin:end]
        for first in _begins(rows[by_terminal[rows]], days):
            known = (seconds[rows] >= seconds[first] + delay) & (days[rows] < days[first] + COMPROMISED_DAYS)
            score[rows[known]] = 1.0
    return score


def _begins(frauds: Codes, days: Codes) -> list[int]:
    """The first fraud of each compromise."""
    found: list[int] = []
    for row in frauds.tolist():
        if not found or days[row] - days[found[-1]] >= COMPROMISED_DAYS:
            found.append(row)
    return found

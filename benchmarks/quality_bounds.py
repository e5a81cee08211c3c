"""An upper bound for compromised terminals: their first frauds cannot be recognised before a label of one is known.

In scenario 2 every transaction at a terminal is fraud for 28 days, and nothing else about them is unusual. Before the
first label arrives they cannot be recognised. So no order of the rows is better, but by luck, than this one: first all
frauds of scenario 2 that an earlier and known one at the same terminal could give away, and not one genuine row among
them; then all other rows in any order.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality_book import within_days

COMPROMISED_DAYS, LABEL_DELAY_DAYS = 28, 7


def given_away(
    seconds: NDArray[np.float64],
    terminals: NDArray[np.int64],
    by_terminal: NDArray[np.bool_],
    delay: int = LABEL_DELAY_DAYS,
) -> NDArray[np.bool_]:
    """Which frauds of scenario 2 had another at their terminal that was known by then, and not 28 days old.

    Args:
        seconds: of the transactions, ascending, shape (rows,) like all of the next.
        terminals: a number for each.
        by_terminal: which are frauds of scenario 2.
        delay: days until a label is known.
    """
    frauds = by_terminal.astype(np.float64)
    recent, unknown = (within_days(seconds, terminals, days)(frauds) for days in (COMPROMISED_DAYS, delay))
    known: NDArray[np.bool_] = by_terminal & (recent > unknown)
    return known


def best_order(known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores that rank these rows first and all others by chance, shape (rows,); the same each time."""
    return known + np.random.default_rng(0).random(len(known))

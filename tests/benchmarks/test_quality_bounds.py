"""What labels can tell of a compromised terminal."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_bounds import COMPROMISED_DAYS, LABEL_DELAY_DAYS, best_order, given_away

DAY = 86_400.0


def test_a_compromise_is_given_away_once_its_first_label_is_known() -> None:
    """Of one transaction a day, those from the eighth day of the compromise on, and none after it."""
    days = np.arange(60.0)
    compromised = (days >= 10) & (days < 10 + COMPROMISED_DAYS)
    known = given_away(days * DAY, np.zeros(60, dtype=np.int64), compromised)
    assert np.flatnonzero(known).tolist() == list(range(17, 38))


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.booleans()), min_size=1, max_size=60))
def test_what_is_given_away_has_an_earlier_fraud_at_its_own_terminal(rows: list[tuple[int, int, bool]]) -> None:
    """As old as a label's delay, and younger than a compromise lasts: counted by hand."""
    days, terminals, frauds = (np.array(each) for each in zip(*sorted(rows), strict=True))
    known = given_away(days * DAY, terminals, frauds)
    for row in range(len(rows)):
        age = days[row] - days[(terminals == terminals[row]) & frauds]
        assert known[row] == (frauds[row] and ((age >= LABEL_DELAY_DAYS) & (age < COMPROMISED_DAYS)).any())


def test_the_best_order_has_what_is_known_first() -> None:
    """And is the same each time."""
    known = np.array([False, True, False, True])
    scores = best_order(known)
    assert scores[known].min() > scores[~known].max()
    assert (best_order(known) == scores).all()

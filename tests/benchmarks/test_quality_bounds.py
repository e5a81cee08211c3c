"""What labels can tell of a compromised terminal."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_bounds import COMPROMISED_DAYS, LABEL_DELAY, known_compromised

DAY = 86_400.0


def test_a_terminal_is_known_a_label_s_delay_after_its_first_fraud_and_until_the_compromise_is_over() -> None:
    """Of one transaction a day, those of days 7 to 27 of the compromise."""
    days = np.arange(60)
    compromised = (days >= 10) & (days < 10 + COMPROMISED_DAYS)
    known = known_compromised(days.astype(np.float64) * DAY, days, np.zeros(60, dtype=np.int64), compromised)
    assert np.flatnonzero(known).tolist() == list(range(17, 38))


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.booleans()), min_size=1, max_size=60))
def test_nothing_is_known_without_a_label_that_is_old_enough(rows: list[tuple[int, int, bool]]) -> None:
    """Whatever is known has a fraud of its own terminal at least a delay before it."""
    days, terminals, frauds = (np.array(each) for each in zip(*sorted(rows), strict=True))
    known = known_compromised(days.astype(np.float64) * DAY, days, terminals, frauds)
    for row in np.flatnonzero(known):
        earlier = (terminals == terminals[row]) & frauds & (days * DAY <= days[row] * DAY - LABEL_DELAY)
        assert earlier.any()

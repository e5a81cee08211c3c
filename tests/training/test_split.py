import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.windows import DAY
from training.errors import TrainingError
from training.schema_history import LABEL_DELAY
from training.split import split


@given(st.lists(st.integers(0, 10**7), min_size=100, max_size=300), st.sampled_from([1, 3600, 86_400]))
def test_periods_follow_each_other_with_the_gap(times: list[int], grain: int) -> None:
    """Whatever the times, no row of a period is older than its predecessor's plus the gap, and none is shared."""
    seconds = np.sort(np.array(times, dtype=np.float64) // grain * grain)
    cut = split(len(seconds), seconds)
    assert cut.train.start == 0
    assert cut.test.stop == len(seconds)
    for before, after in ((cut.train, cut.validation), (cut.validation, cut.test)):
        assert before.stop <= after.start
        if cut.gap:
            assert seconds[before.stop - 1] < seconds[after.start] - cut.gap


def test_four_months_leave_out_the_label_delay() -> None:
    """Data of 120 days has the seven days in which labels are not yet known between its periods."""
    cut = split(12_000, np.linspace(0, 120 * DAY, 12_000))
    assert cut.gap == LABEL_DELAY
    assert not cut.notes


def test_short_data_has_a_shorter_gap_and_says_so() -> None:
    """Two days cannot spare seven: the gap shrinks and the card will tell."""
    cut = split(1000, np.linspace(0, 2 * DAY, 1000))
    assert 0 < cut.gap < DAY
    assert "too short" in cut.notes[0]


def test_two_months_spare_half_of_the_validation_for_the_gap() -> None:
    """As much of the delay as leaves the other half: what is learned from was known nearly in time."""
    cut = split(6_000, np.linspace(0, 60 * DAY, 6_000))
    assert cut.gap == pytest.approx(4.5 * DAY, rel=0.01)
    assert "a little too good" in cut.notes[0]


def test_a_gap_leaves_enough_rows_to_test_on() -> None:
    """In a small file it takes a tenth of the validation period, not a half."""
    cut = split(100, np.linspace(0, 60 * DAY, 100))
    assert cut.gap == pytest.approx(0.9 * DAY, rel=0.05)
    assert min(cut.sizes().values()) >= 10


@pytest.mark.parametrize("seconds", [None, np.zeros(200)])
def test_rows_without_usable_times_are_cut_in_their_order(seconds: NDArray[np.float64] | None) -> None:
    """No timestamp, or one single moment: the order of the rows stands for time, with a note."""
    cut = split(200, seconds)
    assert cut.sizes() == {"train": 140, "validation": 30, "test": 30}
    assert "order of rows" in cut.notes[0]


def test_too_few_rows_are_refused() -> None:
    """A file from which nothing could be judged is refused with the number that is needed."""
    with pytest.raises(TrainingError, match="at least 100"):
        split(99, None)

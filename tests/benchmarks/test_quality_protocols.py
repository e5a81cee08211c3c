"""Which rows train, validate and test: by hand on small data, and as properties of any data."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality_protocols import (
    CARDS_TRAIN_END,
    EARLIER_STARTS,
    FIRST_DAY,
    TEST_STARTS,
    cards_fold,
    day_numbers,
    earlier_long_fold,
    handbook_folds,
    long_fold,
    without_known,
)

DAYS = np.repeat(np.arange(157), 3)
CARDS = np.tile(np.arange(3), 157)
NONE = np.zeros(len(DAYS), dtype=np.bool_)


def test_days_are_counted_from_the_first_of_april() -> None:
    """The last second of a day belongs to it."""
    times = pd.Series(pd.to_datetime(["2018-04-01 00:00:00", "2018-04-01 23:59:59", "2018-04-02 00:00:00"]))
    assert day_numbers(times).tolist() == [0, 0, 1]


def test_a_fold_trains_on_a_week_skips_one_and_tests_on_the_next() -> None:
    """And validates on the week before the training's."""
    fold = next(handbook_folds(DAYS, CARDS, NONE, ("2018-07-25",)))
    first = (pd.Timestamp("2018-07-25") - FIRST_DAY).days
    assert set(DAYS[fold.train]) == set(range(first, first + 7))
    assert set(DAYS[fold.test]) == set(range(first + 14, first + 21))
    assert set(DAYS[fold.validation]) == set(range(first - 7, first))


def test_settings_are_chosen_on_weeks_that_end_before_the_published_test_weeks() -> None:
    """None of the earlier folds holds a row of a published test week."""
    earlier, published = (list(handbook_folds(DAYS, CARDS, NONE, each)) for each in (EARLIER_STARTS, TEST_STARTS))
    newest = max(DAYS[fold.train | fold.validation | fold.test].max() for fold in earlier)
    assert newest < min(DAYS[fold.test].min() for fold in published)
    long = earlier_long_fold(DAYS)
    assert DAYS[long.train | long.validation | long.test].max() < DAYS[long_fold(DAYS).test].min()


def test_a_card_is_dropped_once_its_fraud_is_known() -> None:
    """A fraud of the training week drops its card from all test days, one of the day after it from the second on."""
    first = 115
    frauds = ((first == DAYS) & (CARDS == 0)) | ((first + 7 == DAYS) & (CARDS == 1))
    kept = without_known(DAYS, CARDS, frauds, first + 14)
    assert not kept[CARDS == 0].any()
    assert DAYS[kept & (CARDS == 1)].tolist() == [first + 14]
    assert DAYS[kept & (CARDS == 2)].tolist() == list(range(first + 14, first + 21))


@given(st.integers(28, 140), st.data())
def test_no_label_younger_than_its_delay_drops_a_card(first: int, drawn: st.DataObject) -> None:
    """What happens in the seven days before a test day, and on it, changes nothing on that day."""
    frauds = np.array(drawn.draw(st.lists(st.booleans(), min_size=len(DAYS), max_size=len(DAYS))))
    day = drawn.draw(st.integers(first, first + 6))
    unknown = frauds & (day - 7 > DAYS)
    on_day = day == DAYS
    all_labels, known_labels = (without_known(DAYS, CARDS, labels, first)[on_day] for labels in (frauds, unknown))
    assert (all_labels == known_labels).all()


def test_the_long_protocol_leaves_a_week_before_validation_and_test() -> None:
    """Train days 31 to 120, validation 128 to 141, test 149 to 156."""
    fold = long_fold(DAYS)
    ends = [(DAYS[part].min(), DAYS[part].max()) for part in (fold.train, fold.validation, fold.test)]
    assert ends == [(31, 120), (128, 141), (149, 156)]


def test_the_cards_are_split_by_time_and_the_newest_fifth_of_training_validates() -> None:
    """No row is in two periods, and none is left out."""
    seconds = np.concatenate([np.linspace(0, CARDS_TRAIN_END, 100), CARDS_TRAIN_END + np.arange(1.0, 11.0)])
    fold = cards_fold(seconds)
    assert [int(part.sum()) for part in (fold.train, fold.validation, fold.test)] == [80, 20, 10]
    assert (fold.train.astype(int) + fold.validation + fold.test == 1).all()
    assert seconds[fold.train].max() < seconds[fold.validation].min()

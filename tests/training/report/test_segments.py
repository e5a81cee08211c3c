from dataclasses import replace

import numpy as np
import pytest

from contract.decision import DecisionBands
from contract.schema import Contract, TimeFormat
from tests.training.report.subjects import DAY, score, subject
from training.report import segments
from training.report.subject import PeriodRows, Subject
from training.threshold_choice import Period

BANDS = DecisionBands(0.3, 0.8)


def scored(about: Subject) -> Period:
    """The test rows with their probabilities."""
    return about.test.scored(score(about.test.matrix), "amount")


def named(part: PeriodRows, values: list[str]) -> PeriodRows:
    """The rows with these channels, repeated."""
    channels = np.array(values * len(part.labels), dtype=object)[: len(part.labels)]
    return replace(part, table=part.table.extended({"channel": channels}))


def test_segments_hold_every_row_once() -> None:
    """The rows of a table's segments add up to all rows, and so do their frauds."""
    about = subject()
    of = scored(about)
    tables = [
        *segments.by_time(about.contract, about.test, of, BANDS).values(),
        *segments.by_column(about.contract, about.test, of, BANDS).values(),
        segments.by_amount(of, BANDS),
    ]
    assert len(tables) == 4
    for table in tables:
        assert sum(each["rows"] for each in table) == len(of.labels)
        assert sum(each["frauds"] for each in table) == of.labels.sum()


def test_values_that_training_did_not_know_are_not_repeated() -> None:
    """A category's unknown text may be anything: it is told as unknown, and an empty cell as empty."""
    about = subject()
    names = {each["name"] for each in segments.by_column(about.contract, about.test, scored(about), BANDS)["channel"]}
    assert names == {"chip", "online", segments.EMPTY, segments.UNKNOWN}


def test_rare_values_are_taken_together() -> None:
    """Values of fewer than fifty rows share a line, which comes last."""
    about = subject()
    part = named(about.test, ["chip"] * 570 + ["online"] * 20 + [""] * 10)
    names = [each["name"] for each in segments.by_column(about.contract, part, scored(about), BANDS)["channel"]]
    assert names == ["chip", segments.RARE]


def test_the_smallest_and_the_largest_amount_are_not_reported() -> None:
    """The ends of the parts by amount are open: they would be somebody's transaction."""
    of = scored(subject())
    names = [each["name"] for each in segments.by_amount(of, BANDS)]
    assert names[0].startswith("up to ")
    assert names[-1].startswith("from ")
    assert len(names) == segments.AMOUNT_BINS


def test_equal_amounts_are_one_part() -> None:
    """Where every amount is the same there is one part."""
    of = scored(subject())
    same = replace(of, amounts=np.full(len(of.labels), 5.0))
    assert [each["name"] for each in segments.by_amount(same, BANDS)] == ["all"]


def test_months_are_in_order_and_short_tests_have_weeks() -> None:
    """Two calendar months stand in their order, with the weeks beside them."""
    about = subject()
    found = segments.by_time(about.contract, about.test, scored(about), BANDS)
    months = [each["name"] for each in found["month"]]
    assert months == sorted(months)
    assert found["week"][0]["name"] == "days 01 to 07"


def test_seconds_are_no_dates() -> None:
    """Times counted from any moment are told in spans of thirty days."""
    about = subject()
    columns = tuple(
        replace(column, time_format=TimeFormat.SECONDS) if column.name == "when" else column
        for column in about.contract.columns
    )
    features = tuple(feature for feature in about.contract.features if feature.column != "when")
    counted = Contract("counted", columns, features)
    assert set(segments.by_time(counted, about.test, scored(about), BANDS)) == {"30 days", "week"}


def test_times_that_are_missing_have_a_line() -> None:
    """Rows without a time are told as empty, not as of 1970."""
    about = subject()
    assert about.test.seconds is not None
    seconds = about.test.seconds.copy()
    seconds[:60] = np.nan
    found = segments.by_time(about.contract, replace(about.test, seconds=seconds), scored(about), BANDS)
    assert segments.EMPTY in {each["name"] for each in found["month"]}


def test_few_frauds_have_no_average_precision() -> None:
    """A segment of four frauds does not pretend to rank."""
    labels = np.arange(100) < 4
    of = Period.of(np.linspace(1, 0, 100, dtype=np.float32), labels)
    found = segments.segment("few", of, np.ones(100, dtype=bool), BANDS)
    assert "average_precision" not in found
    assert found["recall"] == pytest.approx(1.0)


def test_a_day_is_a_day() -> None:
    """Weeks begin with the first row."""
    spans = segments._spans(np.array([0, 6.9 * DAY, 7 * DAY]), 7)
    assert spans.tolist() == ["days 01 to 07", "days 01 to 07", "days 08 to 14"]

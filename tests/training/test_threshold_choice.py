from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import threshold_choice
from training.amounts import Amount
from training.errors import TrainingError
from training.evaluation import ThresholdPolicy, choose_bands
from training.threshold_choice import (
    Budget,
    Costs,
    DecisionOptions,
    Period,
    budget_threshold,
    choose_thresholds,
    cost_threshold,
)

DAY = 86_400.0
NO_AMOUNT = Amount(None, "none")
rows = st.lists(
    st.tuples(st.integers(0, 20), st.booleans(), st.integers(0, 500)), min_size=1, max_size=80
)  # fmt: skip
shares = st.floats(0.001, 0.9)


def period(drawn: list[tuple[int, bool, int]]) -> Period:
    """Rows of two days with few distinct scores, so that many are equal."""
    scores, labels, amounts = (np.array(each) for each in zip(*drawn, strict=True))
    seconds = np.linspace(0, 2 * DAY, len(labels))
    return Period.of((scores / 20).astype(np.float32), labels.astype(bool), amounts.astype(np.float64), seconds)


def random_period(seed: int, count: int = 4000, known_amounts: bool = True) -> Period:
    """Scores that tell something, one fraud in twenty, over ten days."""
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < 0.05
    scores = 1 / (1 + np.exp(3 - 3 * labels - rng.normal(size=count)))
    amounts = rng.lognormal(4, 1, count) if known_amounts else None
    return Period.of(scores.astype(np.float32), labels, amounts, np.linspace(0, 10 * DAY, count))


@given(rows, shares)
def test_a_share_is_never_exceeded(drawn: list[tuple[int, bool, int]], share: float) -> None:
    """On the rows that a threshold is chosen on, no more than the budget are flagged, ties or not."""
    of = period(drawn)
    threshold = budget_threshold(of, Budget(share=share))
    if threshold is not None:
        assert (of.scores >= threshold).sum() <= share * len(of.labels) + 1e-9


@given(rows, st.floats(0.5, 30))
def test_a_number_a_day_is_never_exceeded(drawn: list[tuple[int, bool, int]], a_day: float) -> None:
    """A budget of alerts a day holds on the mean of the days that it is chosen on."""
    of = period(drawn)
    threshold = budget_threshold(of, Budget(a_day=a_day))
    if threshold is not None:
        assert of.days is not None
        assert (of.scores >= threshold).sum() <= a_day * of.days + 1e-9


@given(rows, shares, shares)
def test_a_larger_budget_flags_no_less(drawn: list[tuple[int, bool, int]], first: float, second: float) -> None:
    """More alerts never raise the threshold."""
    of, small, large = period(drawn), min(first, second), max(first, second)
    low, high = budget_threshold(of, Budget(share=large)), budget_threshold(of, Budget(share=small))
    assert high is None or (low is not None and low <= high)


@given(rows, shares)
def test_the_budget_is_used(drawn: list[tuple[int, bool, int]], share: float) -> None:
    """The next lower score would break the budget: none is wasted."""
    of = period(drawn)
    threshold = budget_threshold(of, Budget(share=share))
    lower = of.scores[of.scores < (2.0 if threshold is None else threshold)]
    if len(lower):
        assert (of.scores >= lower.max()).sum() > share * len(of.labels)


@given(rows, st.floats(0, 100), st.floats(0.1, 5))
def test_no_threshold_saves_more(drawn: list[tuple[int, bool, int]], false_alarm: float, missed: float) -> None:
    """The cost threshold saves at least as much as every other one, and as flagging nothing."""
    of, costs = period(drawn), Costs(false_alarm, missed, stated=True)

    def saved(threshold: float) -> float:
        return threshold_choice.figures(of, threshold, costs)["money_saved"]

    best = cost_threshold(of, costs)
    most = max([0.0, *(saved(float(each)) for each in np.unique(of.scores))])
    assert (0.0 if best is None else saved(best)) == pytest.approx(most, abs=1e-6)


@given(rows, st.floats(0, 100), st.floats(0, 100))
def test_dearer_false_alarms_flag_no_more(drawn: list[tuple[int, bool, int]], first: float, second: float) -> None:
    """The dearer a false alarm, the higher the cheapest threshold."""
    of = period(drawn)
    low = cost_threshold(of, Costs(min(first, second), 1.0, stated=True))
    high = cost_threshold(of, Costs(max(first, second), 1.0, stated=True))
    assert high is None or (low is not None and low <= high)


@pytest.mark.parametrize(
    ("text", "budget"), [("0.5%", Budget(share=0.005)), ("100", Budget(a_day=100)), (" 2 % ", Budget(share=0.02))]
)
def test_a_budget_is_a_share_or_a_number(text: str, budget: Budget) -> None:
    """0.5% is a share of transactions, 100 is a number a day."""
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "many", "0%", "100%", "-3", "0", "5 %%", "nan", "inf"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    """Nothing, everything and nonsense are no budgets."""
    with pytest.raises(TrainingError, match="budget"):
        Budget.parse(text)


@pytest.mark.parametrize(("false_alarm", "missed"), [(-1.0, 1.0), (None, 0.0), (float("nan"), 1.0)])
def test_costs_below_zero_are_refused(false_alarm: float | None, missed: float) -> None:
    """A false alarm that pays, or a missed fraud that costs nothing, is a slip."""
    with pytest.raises(TrainingError, match="must cost"):
        DecisionOptions(false_alarm=false_alarm, missed=missed)


def test_without_decision_options_the_policy_decides() -> None:
    """The bands are those of the policy, and the card tells the usual budgets and an assumed cost."""
    of = random_period(0)
    found = choose_thresholds(
        of, random_period(1), ThresholdPolicy(), DecisionOptions(), Amount("amount", "of its name")
    )
    assert found.bands == choose_bands(of.scores, of.labels, ThresholdPolicy())[0]
    assert found.card["costs"]["stated"] is False
    assert {"review", "decline", "lowest cost", "budget of 0.5% of transactions"} <= found.card["points"].keys()


@pytest.mark.parametrize("alerts", [Budget(share=0.005), Budget(a_day=3)])
def test_a_stated_budget_holds_for_all_that_is_flagged(alerts: Budget) -> None:
    """Reviews and declines together stay within it on validation, whatever precision a decline has."""
    of = random_period(0)
    found = choose_thresholds(of, random_period(1), ThresholdPolicy(), DecisionOptions(alerts=alerts), NO_AMOUNT)
    allowed = alerts.alerts(len(of.labels), of.days)
    assert allowed is not None
    assert 0 < (of.scores >= found.bands.review).sum() <= allowed
    assert found.bands.review <= found.bands.decline


def test_a_stated_cost_is_the_threshold_in_force() -> None:
    """Flagged is what is cheapest to flag; beside a budget the higher threshold counts."""
    of, amount = random_period(0), Amount("amount", "of its name")
    cost = choose_thresholds(of, random_period(1), ThresholdPolicy(), DecisionOptions(false_alarm=8.0), amount)
    both = choose_thresholds(of, random_period(1), ThresholdPolicy(), DecisionOptions(Budget(share=0.001), 8.0), amount)
    assert cost.bands.review == cost_threshold(of, Costs(8.0, 1.0, stated=True))
    assert both.bands.review == budget_threshold(of, Budget(share=0.001))


def test_expected_is_of_validation_and_found_of_the_test() -> None:
    """Each point tells what its threshold does on either period, in shares, a day and money."""
    of, test = random_period(0), random_period(1)
    found = choose_thresholds(of, test, ThresholdPolicy(), DecisionOptions(), Amount("amount", "of its name"))
    point: dict[str, Any] = found.card["points"]["review"]
    for name, rows_of in (("expected", of), ("test", test)):
        flagged = rows_of.scores >= found.bands.review
        assert point[name]["recall"] == pytest.approx(rows_of.labels[flagged].sum() / rows_of.labels.sum())
        assert point[name]["alerts_a_day"] == pytest.approx(flagged.sum() / 10)
        assert {"value_detected", "money_saved", "money_saved_a_day"} <= point[name].keys()


def test_without_an_amount_money_is_left_out() -> None:
    """No column of amounts: no value, no cost, and a stated cost is noted as not used."""
    of = random_period(0, known_amounts=False)
    found = choose_thresholds(of, of, ThresholdPolicy(), DecisionOptions(false_alarm=5.0), NO_AMOUNT)
    assert found.card["costs"] is None
    assert "lowest cost" not in found.card["points"]
    assert not {"value_detected", "money_saved"} & found.card["points"]["review"]["expected"].keys()
    assert any("not used" in note for note in found.notes)


def test_a_budget_that_nothing_meets_is_noted() -> None:
    """Where all rows score alike, a budget flags nothing, and the card says so."""
    same = Period.of(np.full(50, 0.25, dtype=np.float32), np.arange(50) < 5)
    found = choose_thresholds(same, same, ThresholdPolicy(), DecisionOptions(alerts=Budget(share=0.01)), NO_AMOUNT)
    assert found.bands.review == 1.0
    assert any("no threshold meets" in note for note in found.notes)


def test_amounts_that_are_missing_or_below_zero_count_as_zero() -> None:
    """A refund is no money at risk, and an empty cell no surprise."""
    amounts = np.array([np.nan, -20.0, 30.0])
    of = Period.of(np.ones(3, dtype=np.float32), np.ones(3, dtype=bool), amounts)
    assert of.value.tolist() == [0.0, 0.0, 30.0]

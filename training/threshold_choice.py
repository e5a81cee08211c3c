"""From which probability to act: for a budget of alerts, and for what a missed fraud and a false alarm cost.

Each threshold is chosen on the validation period, where its figures are what is expected of it; the test period only
says what came of it. Money is counted in units of the amount column, over all rows of a period:

    lost without a model   = missed x the amounts of all frauds
    saved at a threshold   = missed x the amounts of the frauds flagged - false_alarm x the genuine rows flagged

An amount that is missing or below zero counts as zero.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.decision import DecisionBands
from contract.windows import DAY
from training.amounts import Amount
from training.errors import TrainingError
from training.evaluation import Scores, ThresholdPolicy, choose_bands
from training.ranking import Floats, Labels, Ranking

DEFAULT_SHARES = (0.001, 0.005, 0.01)
"""Shares of transactions: the budgets that every model card has, whatever is requested."""
ASSUMED_SHARE = 0.1
"""A false alarm costs this share of the mean amount, where its cost is not stated."""
SHARE = re.compile(r"([0-9]*\.?[0-9]+)\s*%")


@dataclass(frozen=True, slots=True)
class Budget:
    """How many transactions may be flagged: a share of them, or a number a day; exactly one is given."""

    share: float | None = None
    a_day: float | None = None

    def __post_init__(self) -> None:
        """Refuses a budget that is none, or two."""
        if (self.share is None) == (self.a_day is None):
            raise TrainingError("An alert budget is either a share of transactions or a number a day.")
        if not (self.a_day is None or 0 < self.a_day < np.inf) or not (self.share is None or 0 < self.share < 1):
            raise TrainingError("An alert budget must be a share above 0% and below 100%, or a number a day above 0.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads 0.5% as a share and 100 as a number a day.

        Raises:
            TrainingError: it is neither.
        """
        percent = SHARE.fullmatch(text.strip())
        try:
            return cls(share=float(percent[1]) / 100) if percent else cls(a_day=float(text))
        except ValueError:
            raise TrainingError(f"{text!r} is no alert budget: write a share like 0.5%, or a number a day.") from None

    def __str__(self) -> str:
        """In words."""
        return f"{100 * self.share:.3g}% of transactions" if self.share is not None else f"{self.a_day:g} alerts a day"

    def alerts(self, rows: float, days: float | None) -> float | None:
        """How many alerts it allows in a period of this many rows and days; None for a number a day without days."""
        if self.share is not None:
            return self.share * rows
        return None if days is None or self.a_day is None else self.a_day * days


@dataclass(frozen=True, slots=True)
class DecisionOptions:
    """What is stated of costs and budgets when training; None where it is not stated.

    Attributes:
        alerts: how many transactions may be flagged.
        false_alarm: what flagging a genuine transaction costs, in units of the amount column.
        missed: what missing a fraud costs, as a multiple of its amount.
        amount: the column of the amount; None infers it from the names, "" says that there is none.
    """

    alerts: Budget | None = None
    false_alarm: float | None = None
    missed: float = 1.0
    amount: str | None = None

    def __post_init__(self) -> None:
        """Refuses costs that are below zero, or no number."""
        if not (self.false_alarm is None or 0 <= self.false_alarm < np.inf) or not 0 < self.missed < np.inf:
            raise TrainingError("A false alarm must cost a number from 0, a missed fraud one above 0.")


@dataclass(frozen=True, slots=True)
class Costs:
    """What mistakes cost.

    Attributes:
        false_alarm: of one genuine transaction that is flagged, in units of the amount column.
        missed: of a fraud that is not flagged, as a multiple of its amount.
        stated: whether a person said so; else it is assumed.
    """

    false_alarm: float
    missed: float
    stated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """The scored rows of one period; shape (rows,) each.

    Attributes:
        amounts: of each transaction, none missing or below zero; None where no column is the amount.
        days: how long the period is; None where there is no time.
        weights: how many transactions each row stands for.
    """

    scores: Scores
    labels: Labels
    weights: Floats
    amounts: Floats | None = None
    days: float | None = None

    @classmethod
    def of(
        cls,
        scores: Scores,
        labels: Labels,
        amounts: NDArray[Any] | None = None,
        seconds: Floats | None = None,
        weights: Floats | None = None,
    ) -> Self:
        """Takes amounts and times (seconds, NaN missing) as the data has them."""
        known = None if amounts is None else np.maximum(np.nan_to_num(amounts.astype(np.float64), nan=0.0), 0.0)
        return cls(scores, labels, np.ones(len(labels)) if weights is None else weights, known, _days(seconds))

    @property
    def value(self) -> Floats:
        """The amount at risk with each row, its weight in it; nothing where no column is the amount."""
        return self.weights * (np.zeros(len(self.labels)) if self.amounts is None else self.amounts)


@dataclass(frozen=True, slots=True)
class ChosenThresholds:
    """The thresholds in force, and the `decisions` of the model card."""

    bands: DecisionBands
    card: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def choose_thresholds(
    validation: Period, test: Period, policy: ThresholdPolicy, options: DecisionOptions, amount: Amount
) -> ChosenThresholds:
    """Chooses the thresholds on the validation rows, and says what is expected of them and what the test made of it.

    Without options the bands are the policy's. A stated budget is kept by everything that is flagged; a stated cost
    alone sets the review threshold where it is cheapest; with both the higher one counts.
    """
    bands, notes = choose_bands(validation.scores, validation.labels, policy, validation.weights)
    costs = _costs(validation, options)
    thresholds, missing = _thresholds(validation, options, costs)
    bands, stated_points = _with_stated(bands, thresholds)
    points = {"review": _OperatingPoint(bands.review, "the alerts in force", stated_points), **thresholds}
    points["decline"] = _OperatingPoint(bands.decline, "the declines in force", stated=False)
    card = {
        "amount": asdict(amount),
        "costs": asdict(costs) if costs else None,
        "points": {name: point.to_card(validation, test, costs) for name, point in points.items()},
    }
    return ChosenThresholds(bands, card, (*notes, *missing))


def budget_threshold(period: Period, budget: Budget) -> float | None:
    """The lowest threshold at which no more are flagged than the budget allows; None where each flags more.

    None as well where the budget is a number a day and the period has no time.
    """
    allowed = budget.alerts(float(period.weights.sum()), period.days)
    if allowed is None or not len(period.labels):
        return None
    ranking = Ranking.of(period.labels, period.scores)
    flagged, _ = ranking.cumulative_counts(period.weights)
    return ranking.lowest(flagged <= allowed * (1 + 1e-12))


def cost_threshold(period: Period, costs: Costs) -> float | None:
    """The threshold at which most is saved, the highest of equals; None where flagging nothing is cheapest."""
    if not len(period.labels):
        return None
    ranking = Ranking.of(period.labels, period.scores)
    saved = savings(period, ranking, costs)
    best = int(np.argmax(saved))
    return float(ranking.scores[best]) if saved[best] > 0 else None


def savings(period: Period, ranking: Ranking, costs: Costs) -> Floats:
    """What is saved with the threshold at each distinct score, the highest first; in units of the amount."""
    caught = np.cumsum((period.value * period.labels)[ranking.order])[ranking.ends]
    alarms = np.cumsum((period.weights * ~period.labels)[ranking.order])[ranking.ends]
    result: Floats = costs.missed * caught - costs.false_alarm * alarms
    return result


def figures(period: Period, threshold: float, costs: Costs | None) -> dict[str, float]:
    """What a threshold does on the rows of a period; what cannot be known there is left out."""
    total = float(period.weights.sum())
    if not total:
        return {}
    flagged = period.scores >= threshold
    alerts = float(period.weights[flagged].sum())
    frauds = float(period.weights[period.labels].sum())
    caught = float(period.weights[flagged & period.labels].sum())
    result = {"alert_share": alerts / total}
    result |= {"alerts_a_day": alerts / period.days} if period.days else {}
    result |= {"precision": caught / alerts} if alerts else {}
    result |= {"recall": caught / frauds} if frauds else {}
    return result | _money(period, flagged, costs)


def _money(period: Period, flagged: Labels, costs: Costs | None) -> dict[str, float]:
    """Value detected, as a share of the amounts of all frauds, and what is saved."""
    if period.amounts is None:
        return {}
    at_risk, caught = (float(period.value[rows].sum()) for rows in (period.labels, period.labels & flagged))
    result = {"value_detected": caught / at_risk} if at_risk else {}
    if costs is None:
        return result
    alarms = float(period.weights[flagged & ~period.labels].sum())
    saved = costs.missed * caught - costs.false_alarm * alarms
    result |= {"money_saved": saved} | ({"money_saved_a_day": saved / period.days} if period.days else {})
    return result | {"money_lost_without": costs.missed * at_risk}


@dataclass(frozen=True, slots=True)
class _OperatingPoint:
    """A threshold and what it was chosen for; None where no threshold meets that."""

    threshold: float | None
    why: str
    stated: bool

    def to_card(self, validation: Period, test: Period, costs: Costs | None) -> dict[str, Any]:
        """As the model card holds it."""
        entry: dict[str, Any] = {"threshold": self.threshold, "chosen_for": self.why, "stated": self.stated}
        if self.threshold is None:
            return entry
        each = {"expected": validation, "test": test}
        return entry | {name: figures(period, self.threshold, costs) for name, period in each.items()}


def _thresholds(
    period: Period, options: DecisionOptions, costs: Costs | None
) -> tuple[dict[str, _OperatingPoint], tuple[str, ...]]:
    """The points of the budgets and of the cost, and notes on those that could not be met."""
    budgets = [Budget(share=share) for share in DEFAULT_SHARES]
    budgets = [options.alerts, *(each for each in budgets if each != options.alerts)] if options.alerts else budgets
    points = {
        f"budget of {budget}": _OperatingPoint(
            budget_threshold(period, budget), f"at most {budget}", budget == options.alerts
        )
        for budget in budgets
    }
    if costs is not None:
        points["lowest cost"] = _OperatingPoint(cost_threshold(period, costs), _cost_words(costs), costs.stated)
    unmet = [name for name, point in points.items() if point.stated and point.threshold is None]
    notes = tuple(
        f"On the validation period no threshold meets the {name}: only a certain fraud is flagged." for name in unmet
    )
    if options.false_alarm is not None and costs is None:
        notes += ("What a false alarm costs was stated, but no column is the amount: it was not used.",)
    return points, notes


def _cost_words(costs: Costs) -> str:
    origin = "stated" if costs.stated else "assumed"
    false_alarm = f"a false alarm {costs.false_alarm:.4g} ({origin})"
    return f"the lowest cost: a missed fraud {costs.missed:g} x its amount, {false_alarm}"


def _with_stated(bands: DecisionBands, points: Mapping[str, _OperatingPoint]) -> tuple[DecisionBands, bool]:
    """The bands with the stated thresholds in force; 1 where only flagging nothing meets it."""
    stated = [1.0 if point.threshold is None else point.threshold for point in points.values() if point.stated]
    if not stated:
        return bands, False
    review = max(stated)
    # A budget holds for all that is flagged: a decline below the review threshold would break it.
    return replace(bands, review=review, decline=max(bands.decline, review)), True


def _costs(validation: Period, options: DecisionOptions) -> Costs | None:
    if validation.amounts is None or not len(validation.labels):
        return None
    if options.false_alarm is not None:
        return Costs(options.false_alarm, options.missed, stated=True)
    mean = float(np.average(validation.amounts, weights=validation.weights))
    return Costs(ASSUMED_SHARE * mean, options.missed, stated=False)


def _days(seconds: Floats | None) -> float | None:
    """The time from the first row to the last, at least a day; None where no row has one."""
    known = None if seconds is None else seconds[np.isfinite(seconds)]
    return None if known is None or not len(known) else max(1.0, float(known.max() - known.min()) / DAY)

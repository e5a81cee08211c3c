"""The report as data: everything that the page shows, as JSON. The page adds words, never a number."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from contract.decision import DecisionBands
from training.amounts import amount_of
from training.ranking import Ranking, intervals
from training.report import metrics, segments
from training.report.baselines import Baseline, reason_left_out, train_baselines
from training.report.importance import importance
from training.report.subject import Subject
from training.threshold_choice import Costs, Period, figures

FORMAT = 1
NOT_REQUESTED = "they were not asked for: `fraud evaluate` trains them"

Document = dict[str, Any]


def document(subject: Subject, *, compare: bool = True, threads: int = 1, seed: int = 0) -> Document:
    """Measures a version on its test rows; `compare` trains the baselines on the same split.

    The test rows must hold both classes. Deterministic, except for the time of the evaluation.

    Raises:
        TrainingError: lightgbm is needed and not installed.
    """
    amount, costs = _money(subject)
    period = subject.test.scored(subject.scores(subject.test.matrix), amount["column"])
    why = reason_left_out(subject) if compare else NOT_REQUESTED
    baselines = [] if why else train_baselines(subject, threads, seed)
    spread, lead = _intervals(period, baselines, seed)
    return {
        "format": FORMAT,
        **_head(subject),
        "amount": amount,
        "costs": asdict(costs) if costs else None,
        "decisions": dict(subject.card.decisions.get("points", {})),
        "test": _test(period, costs, subject.card.bands) | {"average_precision_interval": spread[0]},
        **_tables(subject, period),
        "importance": importance(subject, seed),
        "rivals": _baselines(subject, amount["column"], baselines, spread[1:], lead),
        "rivals_left_out": why,
        "notes": list(dict.fromkeys((*subject.card.notes, *subject.notes))),
    }


def short(report: Document) -> dict[str, Any]:
    """What the model card repeats of its report."""
    test = report["test"]
    result = {"average_precision_interval": test["average_precision_interval"]}
    names = ("name", "average_precision", "expected_calibration_error", "difference")
    card = [{name: baseline[name] for name in names} for baseline in report["rivals"]]
    return result | ({"rivals": card} if card else {"rivals_left_out": report["rivals_left_out"]})


def _head(subject: Subject) -> Document:
    card = subject.card
    return {
        "version": card.version,
        "contract": {"name": subject.contract.name, "fingerprint": subject.contract.fingerprint},
        "trained": card.created,
        "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
        "bands": {"review": card.bands.review, "decline": card.bands.decline},
        "data": subject.data or {},
        "periods": card.data.get("periods", {}),
        "history": dict(card.history),
        "settings": {"seed": card.settings.get("seed")},
    }


def _money(subject: Subject) -> tuple[dict[str, Any], Costs | None]:
    """The amount column and the costs of the card; of an older one the column by its name, and no costs."""
    card = subject.card.decisions
    amount = card.get("amount") or asdict(amount_of(subject.contract))
    return amount, Costs(**card["costs"]) if card.get("costs") else None


def _test(period: Period, costs: Costs | None, bands: DecisionBands) -> Document:
    curve = metrics.alerts(period, costs)
    at_risk = float(period.value[period.labels].sum())
    return metrics.numbers(period) | {
        "precision_recall": metrics.precision_recall(period),
        "roc": metrics.roc(period),
        "in_force": figures(period, bands.review, costs),
        "alert_unit": metrics.unit(period)[0],
        "alerts": curve,
        "alert_table": metrics.alert_table(curve),
        "calibration": metrics.calibration(period),
        "distribution": metrics.distribution(period),
        "lost_without": costs.missed * at_risk if costs and at_risk else None,
    }


def _tables(subject: Subject, period: Period) -> Document:
    bands = subject.card.bands
    return {
        "by_time": segments.by_time(subject.contract, subject.test, period, bands),
        "by_amount": segments.by_amount(period, bands),
        "by_column": segments.by_column(subject.contract, subject.test, period, bands),
    }


def _intervals(
    period: Period, baselines: Sequence[Baseline], seed: int
) -> tuple[list[list[float] | None], list[list[float] | None]]:
    rankings = [
        Ranking.of(period.labels, scores) for scores in (period.scores, *(baseline.scores for baseline in baselines))
    ]
    spread, lead = intervals(rankings, period.weights, seed)
    pairs, differences = ([list(each) for each in result] for result in (spread, lead))
    return [*pairs] or [None] * len(rankings), [*differences] or [None] * len(baselines)


def _baselines(
    subject: Subject,
    amount: str | None,
    baselines: Sequence[Baseline],
    spread: Sequence[list[float] | None],
    lead: Sequence[list[float] | None],
) -> list[Document]:
    result = []
    for baseline, interval, difference in zip(baselines, spread, lead, strict=True):
        period = subject.test.scored(baseline.scores, amount)
        card = {"name": baseline.name, "made": baseline.made, **metrics.numbers(period)}
        card |= {"average_precision_interval": interval, "difference": difference}
        result.append(card | {"precision_recall": metrics.precision_recall(period)})
    return result

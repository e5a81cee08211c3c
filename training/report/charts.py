"""The charts of the report; what each of them means is said in its template."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from training.report.svg import Axis, Line, Mark, chart

Report = Mapping[str, Any]
MIN_COST_RANGE = 0.02
"""A chart of money goes at least so high above zero."""
THRESHOLDS = {"review": "flagged", "decline": "declined", "lowest cost": "lowest cost"}
RECALL_AXIS = Axis("share of frauds found", 0, 1, percent=True)


def drawings(report: Report) -> dict[str, Markup | None]:
    """Every chart of the page by its name; None where the document does not hold what it shows."""
    drawn: tuple[Callable[[Report], Markup | None], ...] = (
        _precision_recall, _roc, _alerts, _cost, _calibration, _distribution,
    )  # fmt: skip
    return {each.__name__.removeprefix("_"): each(report) for each in drawn}


def _precision_recall(report: Report) -> Markup:
    """Precision over recall, with the baselines."""
    lines = [
        Line(baseline["name"], _pairs(baseline["precision_recall"], "recall", "precision"), position)
        for position, baseline in enumerate(report["rivals"], 1)
    ]
    lines.append(Line("this version", _pairs(report["test"]["precision_recall"], "recall", "precision")))
    up = Axis("share of alerts that are fraud", 0, 1, percent=True)
    return chart("Precision and recall", RECALL_AXIS, up, lines)


def _roc(report: Report) -> Markup:
    """Recall over the share of genuine transactions flagged, on a logarithmic axis."""
    lines = [
        Line("by chance", [(10 ** (position / 10), 10 ** (position / 10)) for position in range(-40, 1)], 3),
        Line("this version", _pairs(report["test"]["roc"], "false_positives", "recall")),
    ]
    across = Axis("share of genuine transactions flagged", 1e-4, 1, log=True, percent=True)
    return chart("ROC curve", across, RECALL_AXIS, lines)


def _alerts(report: Report) -> Markup:
    """Precision, recall and value detected over the number of alerts."""
    test, curve = report["test"], report["test"]["alerts"]
    names = {"precision": "alerts that are fraud", "recall": "frauds found", "value_detected": "their value detected"}
    lines = [
        Line(words, _pairs(curve, "alerts", name), position)
        for position, (name, words) in enumerate(names.items())
        if name in curve
    ]
    across = Axis(f"alerts {test['alert_unit']}", *_ends(curve["alerts"]), log=True)
    return chart("Alerts", across, Axis("share", 0, 1, percent=True), lines, _marks(report, curve, "alerts"))


def _cost(report: Report) -> Markup | None:
    """What fraud and false alarms cost together, over the share flagged; None where it is not known."""
    curve = report["test"]["alerts"]
    if report["costs"] is None or "cost" not in curve:
        return None
    high = max(1.0 + MIN_COST_RANGE, min(1.5, max(curve["cost"])))
    across = Axis("share of transactions flagged", *_ends(curve["share"]), log=True, percent=True)
    up = Axis("cost, of that without a model", 0, high, percent=True)
    return chart(
        "Cost", across, up, [Line("this version", _pairs(curve, "share", "cost"))], _marks(report, curve, "share")
    )


def _calibration(report: Report) -> Markup:
    """Observed over predicted share of fraud."""
    bins = report["test"]["calibration"]
    low = min(1e-2, *(each["predicted"] for each in bins), *(each["observed"] or 1.0 for each in bins))
    low = 10.0 ** max(-6, _power(low))
    line = Line(
        "observed, with 95% intervals",
        [(max(each["predicted"], low), max(each["observed"], low)) for each in bins],
        dots=True,
        ranges=[(max(each["low"], low), max(each["high"], low)) for each in bins],
    )
    across = Axis("predicted probability of fraud", low, 1, log=True, percent=True)
    up = Axis("observed share of fraud", low, 1, log=True, percent=True)
    return chart("Calibration", across, up, [Line("as predicted", [(low, low), (1, 1)], 3), line])


def _distribution(report: Report) -> Markup:
    """How the scores of frauds and of genuine transactions are spread."""
    histogram = report["test"]["distribution"]
    edges = histogram["edges"]
    lines = [
        Line(name, list(_steps(edges, histogram[name])), position, area=True)
        for position, name in enumerate(("genuine", "fraud"))
    ]
    high = max(0.1, *histogram["genuine"], *histogram["fraud"])
    marks = [Mark(name, report["bands"][name]) for name in ("review", "decline")]
    across = Axis("probability of fraud", edges[0], 1, log=True, percent=True)
    return chart("Scores", across, Axis("share of the class", 0, high, percent=True), lines, marks)


def _pairs(curve: Mapping[str, Sequence[float]], across: str, up: str) -> list[tuple[float, float]]:
    return list(zip(curve[across], curve[up], strict=True))


def _marks(report: Report, curve: Mapping[str, Sequence[float]], across: str) -> list[Mark]:
    """The thresholds, each at the last point of the curve whose threshold is not lower: they fall from high to low."""
    points = {name: report["bands"][name] for name in ("review", "decline")}
    points["lowest cost"] = report["decisions"].get("lowest cost", {}).get("threshold")
    return [
        Mark(THRESHOLDS[name], curve[across][max(0, sum(each >= value for each in curve["threshold"]) - 1)])
        for name, value in points.items()
        if value is not None
    ]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return max(min(values), 1e-9), max(*values, 1e-9)


def _steps(edges: Sequence[float], shares: Sequence[float]) -> Iterator[tuple[float, float]]:
    for position, value in enumerate(shares):
        yield edges[position], value
        yield edges[position + 1], value


def _power(value: float) -> int:
    """The power of ten at or below a value above zero."""
    power = 0
    while value < 10.0**power and power > -6:  # noqa: PLR2004 - the lowest that a chart begins at.
        power -= 1
    return power

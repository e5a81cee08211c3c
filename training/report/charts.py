"""The charts of the report, each with a sentence that says what it means."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from training.report.formatting import fixed, number, share
from training.report.svg import Axis, Line, Mark, chart

Report = Mapping[str, Any]
MIN_COST_RANGE = 0.02
"""A chart of money goes at least so high above zero."""
THRESHOLDS = {"review": "flagged", "decline": "declined", "lowest cost": "lowest cost"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, its name, and the sentence below it as text."""

    name: str
    sentence: str
    drawing: Markup


def figures(report: Report) -> dict[str, Figure | None]:
    """Every chart of the page by its name; None where the document does not hold what it shows."""
    drawing = (precision_recall, roc, alerts, cost, calibration, distribution)
    return {each.__name__: each(report) for each in drawing}


def precision_recall(report: Report) -> Figure:
    """Precision over recall, with the baselines."""
    test = report["test"]
    lines = [
        Line(baseline["name"], _pairs(baseline["precision_recall"], "recall", "precision"), position)
        for position, baseline in enumerate(report["rivals"], 1)
    ]
    lines.append(Line("this version", _pairs(test["precision_recall"], "recall", "precision")))
    drawing = chart(
        "Precision and recall",
        Axis("share of frauds found", 0, 1, percent=True),
        Axis("share of alerts that are fraud", 0, 1, percent=True),
        lines,
    )
    half = _at(test["precision_recall"], "recall", 0.5, "precision")
    return Figure(
        "Precision and recall",
        f"Each point is a threshold. Where half of the frauds are found, {share(half)} of the alerts are fraud. The "
        f"area below the line, average precision, is {fixed(test['average_precision'])}; drawing alerts at random "
        f"gives {fixed(test['base_rate'])}.",
        drawing,
    )


def roc(report: Report) -> Figure:
    """Recall over the share of genuine transactions flagged, on a logarithmic axis."""
    test = report["test"]
    drawing = chart(
        "ROC curve",
        Axis("share of genuine transactions flagged", 1e-4, 1, log=True, percent=True),
        Axis("share of frauds found", 0, 1, percent=True),
        [
            Line("by chance", [(10 ** (position / 10), 10 ** (position / 10)) for position in range(-40, 1)], 3),
            Line("this version", _pairs(test["roc"], "false_positives", "recall")),
        ],
    )
    recalls = test["recall_at_false_positives"]
    return Figure(
        "ROC",
        f"If one genuine transaction in 1,000 may be flagged, {share(recalls['0.1%'])} of the frauds are found; if "
        f"one in 100, {share(recalls['1%'])}. A fraud gets a higher score than a genuine transaction in "
        f"{share(test['roc_auc'])} of all pairs (the area below the line). The lower axis is logarithmic: its left "
        "half is where alerts are few enough to be looked at.",
        drawing,
    )


def alerts(report: Report) -> Figure:
    """Precision, recall and value detected over the number of alerts."""
    test, curve = report["test"], report["test"]["alerts"]
    names = {"precision": "alerts that are fraud", "recall": "frauds found", "value_detected": "their value detected"}
    lines = [
        Line(words, _pairs(curve, "alerts", name), position)
        for position, (name, words) in enumerate(names.items())
        if name in curve
    ]
    across = Axis(f"alerts {test['alert_unit']}", *_ends(curve["alerts"]), log=True)
    drawing = chart("Alerts", across, Axis("share", 0, 1, percent=True), lines, _marks(report, curve, "alerts"))
    row = test["in_force"]
    flagged = (
        f"{number(row['alerts_a_day'])} transactions a day" if "alerts_a_day" in row else share(row["alert_share"])
    )
    detected = f", which are {share(row['value_detected'])} of the money at risk" if "value_detected" in row else ""
    return Figure(
        "Alerts and what they find",
        f"At the threshold in force {flagged} are flagged: {share(row.get('precision'))} of them are fraud, and "
        f"{share(row['recall'])} of all frauds are among them{detected}. More alerts find more fraud, and more of "
        "them are false.",
        drawing,
    )


def cost(report: Report) -> Figure | None:
    """What fraud and false alarms cost together, over the share flagged; None where it is not known."""
    curve, costs = report["test"]["alerts"], report["costs"]
    if costs is None or "cost" not in curve:
        return None
    high = max(1.0 + MIN_COST_RANGE, min(1.5, max(curve["cost"])))
    drawing = chart(
        "Cost",
        Axis("share of transactions flagged", *_ends(curve["share"]), log=True, percent=True),
        Axis("cost, of that without a model", 0, high, percent=True),
        [Line("this version", _pairs(curve, "share", "cost"))],
        _marks(report, curve, "share"),
    )
    least = min(range(len(curve["cost"])), key=lambda position: curve["cost"][position])
    message = "As stated" if costs["stated"] else "Nobody stated what mistakes cost. It is assumed that"
    return Figure(
        "Cost",
        f"{message}{',' if costs['stated'] else ''} a missed fraud costs {number(costs['missed'])} x its amount and a "
        f"false alarm {number(costs['false_alarm'], 4)} (in units of {report['amount']['column']}). Without a model "
        f"the test period loses {number(report['test']['lost_without'], 4)}; the lowest point is "
        f"{share(curve['cost'][least])} of that, with {share(curve['share'][least])} of transactions flagged. The "
        "thresholds were chosen earlier, on the validation period, so they need not stand at the lowest point.",
        drawing,
    )


def calibration(report: Report) -> Figure:
    """Observed over predicted share of fraud."""
    bins = report["test"]["calibration"]
    low = min(1e-2, *(each["predicted"] for each in bins), *(each["observed"] or 1.0 for each in bins))
    low = 10.0 ** max(-6, _power(low))
    line = Line(
        "observed, with 95% intervals",
        [(max(each["predicted"], low), max(each["observed"], low)) for each in bins],
        0, dots=True, ranges=[(max(each["low"], low), max(each["high"], low)) for each in bins],
    )  # fmt: skip
    axes = (
        Axis("predicted probability of fraud", low, 1, log=True, percent=True),
        Axis("observed share of fraud", low, 1, log=True, percent=True),
    )
    drawing = chart("Calibration", *axes, [Line("as predicted", [(low, low), (1, 1)], 3), line])
    test = report["test"]
    return Figure(
        "Calibration",
        "Whether 10% means one in ten: dots on the dashed line are right, above it fraud was more frequent than "
        f"predicted. Over all transactions {share(test['mean_probability'])} fraud was predicted and "
        f"{share(test['base_rate'])} happened. The expected calibration error is "
        f"{number(test['expected_calibration_error'], 2)}.{_slope(test)}",
        drawing,
    )


def _slope(test: Mapping[str, Any]) -> str:
    if test["calibration_slope"] is None:
        return ""
    return f" The calibration slope is {number(test['calibration_slope'], 2)}: 1 is right, less is too sure of itself."


def distribution(report: Report) -> Figure:
    """How the scores of frauds and of genuine transactions are spread."""
    histogram = report["test"]["distribution"]
    lines = [
        Line(words, list(_steps(histogram["edges"], histogram[name])), position, area=True)
        for position, (name, words) in enumerate({"genuine": "genuine", "fraud": "fraud"}.items())
    ]
    high = max(0.1, *histogram["genuine"], *histogram["fraud"])
    marks = [Mark(name, report["bands"][name]) for name in ("review", "decline")]
    drawing = chart(
        "Scores",
        Axis("probability of fraud", histogram["edges"][0], 1, log=True, percent=True),
        Axis("share of the class", 0, high, percent=True),
        lines,
        marks,
    )
    return Figure(
        "Scores",
        "How probable fraud is said to be, for what was fraud and for what was not, each as shares of its own "
        "number. The less the two overlap, the better. What lies right of the dashed lines is reviewed, and "
        "declined. The first step holds all that is lower.",
        drawing,
    )


def _pairs(curve: Mapping[str, Sequence[float]], across: str, up: str) -> list[tuple[float, float]]:
    return list(zip(curve[across], curve[up], strict=True))


def _at(curve: Mapping[str, Sequence[float]], name: str, value: float, other: str) -> float:
    """The wanted value at the first point where another reaches a value."""
    position = next((position for position, each in enumerate(curve[name]) if each >= value), len(curve[name]) - 1)
    return curve[other][position]


def _place(curve: Mapping[str, Sequence[float]], threshold: float) -> int:
    """The last point whose threshold is not lower; the points fall from high to low."""
    reached = [position for position, value in enumerate(curve["threshold"]) if value >= threshold]
    return reached[-1] if reached else 0


def _marks(report: Report, curve: Mapping[str, Sequence[float]], across: str) -> list[Mark]:
    """The thresholds, each where it stands on the test period."""
    at = {"review": report["bands"]["review"], "decline": report["bands"]["decline"]}
    point = report["decisions"].get("lowest cost", {})
    at |= {"lowest cost": point["threshold"]} if point.get("threshold") is not None else {}
    return [Mark(THRESHOLDS[name], curve[across][_place(curve, value)]) for name, value in at.items()]


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

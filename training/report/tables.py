"""The tables of the report."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from training.report.words import between, fixed, moment, number, safe, share

Report = Mapping[str, Any]
Cells = Sequence[str]
SEGMENT: dict[str, tuple[str, Callable[[object], str]]] = {
    "rows": ("transactions", number),
    "frauds": ("frauds", number),
    "fraud_share": ("share of fraud", share),
    "predicted": ("predicted", share),
    "alert_share": ("flagged", share),
    "precision": ("alerts that are fraud", share),
    "recall": ("frauds found", share),
    "average_precision": ("average precision", fixed),
}


def table(head: Cells, rows: Sequence[Cells]) -> str:
    """A table whose cells are HTML already."""
    named = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{named}</tr></thead><tbody>{body}</tbody></table></div>'


def periods(report: Report) -> str:
    """How the data was cut."""
    rows = [
        (
            name,
            number(each.get("rows")),
            number(each.get("frauds")),
            moment(each.get("first")),
            moment(each.get("last")),
        )
        for name, each in report["periods"].items()
    ]
    return table(("period", "transactions", "frauds", "from", "to"), [(safe(row[0]), *row[1:]) for row in rows])


def thresholds(report: Report) -> str:
    """Each threshold of the card: what was expected of it, and what the test period made of it."""
    with_money = report["amount"].get("column") is not None
    head = ["chosen for", "threshold", "", "flagged", "a day", "are fraud", "frauds found"]
    head += ["value detected", "saved a day"] if with_money else []
    rows = []
    for point in report["decisions"].values():
        rows += _two_lines(point, with_money=with_money)
    return table(head, rows)


def alerts(report: Report) -> str:
    """Round numbers of alerts, and what they find."""
    test = report["test"]
    names = {"precision": "are fraud", "recall": "frauds found", "value_detected": "value detected"}
    told = {name: words for name, words in names.items() if name in test["alerts"]}
    rows = [
        (
            number(each["at_most"]),
            share(each["share"]),
            f"{each['threshold']:.4g}",
            *(share(each[name]) for name in told),
        )
        for each in test["alert_table"]
    ]
    return table((f"alerts {safe(test['alert_unit'])}", "flagged", "from probability", *told.values()), rows)


def segments(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    """The figures by segment."""
    rows = [(safe(each["name"]), *(write(each.get(key)) for key, (_, write) in SEGMENT.items())) for each in found]
    return table((safe(name), *(words for words, _ in SEGMENT.values())), rows)


def importance(report: Report) -> str:
    """What is lost without each column, with bars."""
    most = max([1e-9, *(each["lost"] for each in report["importance"])])
    rows = [
        (
            safe(each["name"]),
            f"{each['lost']:+.3f}",
            f"{each['low']:+.3f} to {each['high']:+.3f}",
            f'<span class="bar" style="width:{max(0.0, 9 * each["lost"] / most):.2f}rem"></span>',
        )
        for each in report["importance"]
    ]
    return table(("column", "average precision lost", "between", ""), rows)


def rivals(report: Report) -> str:
    """This version and what stands beside it."""
    own = ("<b>this version</b>", *_measured(report["test"]), "")
    others = [
        (f"{safe(each['name'])}<br><small class='soft'>{safe(each['made'])}</small>", *_measured(each), _lead(each))
        for each in report["rivals"]
    ]
    head = ("", "average precision", "95% interval", "ROC area", "found at 0.1% false", "calibration error")
    return table((*head, "this version's lead"), [own, *others])


def verdict(rival: Mapping[str, Any]) -> str:
    """Whether the difference can be told from chance."""
    if rival["difference"] is None:
        return "cannot be told apart"
    low, high = rival["difference"]
    return "this version is better" if low > 0 else "it is better" if high < 0 else "cannot be told apart"


def _measured(figures: Mapping[str, Any]) -> Cells:
    return (
        fixed(figures["average_precision"]),
        _unbroken(between(figures["average_precision_interval"])),
        fixed(figures["roc_auc"]),
        share(figures["recall_at_false_positives"]["0.1%"]),
        number(figures["expected_calibration_error"], 2),
    )


def _lead(rival: Mapping[str, Any]) -> str:
    return f"{_unbroken(between(rival['difference'], signed=True))}<br><small class='soft'>{verdict(rival)}</small>"


def _unbroken(text: str) -> str:
    return f'<span class="said">{text}</span>'


def _two_lines(point: Mapping[str, Any], *, with_money: bool) -> list[Cells]:
    """Expected and found, under each other."""
    words = safe(point["chosen_for"]) + (" (stated)" if point["stated"] else "")
    if point["threshold"] is None:
        return [(words, "none", *[""] * (7 if with_money else 5))]
    lines: list[Cells] = []
    for first, (name, said) in enumerate({"expected": "expected", "test": "in the test"}.items()):
        of = point.get(name, {})
        start = ("", "") if first else (words, f"{point['threshold']:.4g}")
        cells = (share(of.get("alert_share")), number(of.get("alerts_a_day")), *_found(of))
        money = (share(of.get("value_detected")), number(of.get("money_saved_a_day"), 4)) if with_money else ()
        lines.append((*start, f'<span class="soft said">{said}</span>', *cells, *money))
    return lines


def _found(of: Mapping[str, Any]) -> Cells:
    return share(of.get("precision")), share(of.get("recall"))

"""The report as one HTML page that needs nothing else: no script, no font, no image, no request.

A page is a function of the document alone. The policy in its head forbids the browser any request, should a text ever
get past `safe`.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from training.report import charts, tables
from training.report.words import between, fixed, money, number, safe, share, unit

Report = Mapping[str, Any]
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Report) -> str:
    """The page of a document as `training.report.document` makes it."""
    title = f"Fraud model {report['version']}: how good it is, and where it is not"
    style = (files("training.report") / "style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{safe(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{safe(title)}</h1>\n"
        + "\n".join(_sections(report))
        + "\n</main>\n</body>\n</html>\n"
    )


def report_files(report: Report) -> dict[str, bytes]:
    """The document and its page, by the names that they have in an archive."""
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return {"report.json": text.encode(), "report.html": page(report).encode()}


def _sections(report: Report) -> Iterator[str]:
    yield _head(report)
    yield _tiles(report)
    yield _section("What it finds", charts.precision_recall(report) + charts.roc(report), pair=True)
    yield _section("Alerts, value and cost", charts.alerts(report) + charts.cost(report), pair=True)
    yield tables.alerts(report)
    yield from _decisions(report)
    yield _section(
        "Whether its probabilities are right", charts.calibration(report) + charts.distribution(report), pair=True
    )
    yield from _beside(report)
    yield from _over_time(report)
    yield from _segments(report)
    yield from _importance(report)
    yield from _honesty(report)


def _section(name: str, body: str, *, pair: bool = False) -> str:
    inner = f'<div class="pair">{body}</div>' if pair else body
    return f"<h2>{name}</h2>\n{inner}"


def _head(report: Report) -> str:
    test, data = report["test"], report["data"]
    source = data.get("source")
    named = source if isinstance(source, str) else "the simulator"
    days = f" over {number(test['days'])} days" if test.get("days") else ""
    learned = "the newest part of the file that it was trained on, kept apart until now"
    other = "rows that are newer than all that it has learned from"
    return (
        f'<p class="soft">Columns “{safe(report["contract"]["name"])}”, trained {safe(report["trained"][:10])}, '
        "evaluated "
        f"{safe(report['evaluated'][:10])} on {safe(named)}.</p>"
        f"<p>Every figure is of the <b>test period</b>: {number(test['rows'])} transactions{days}, "
        f"{number(test['frauds'])} of them fraud ({share(test['base_rate'])}); "
        f"{learned if data.get('same') else other}.</p>"
    )


def _tiles(report: Report) -> str:
    test = report["test"]
    recalls = test["recall_at_false_positives"]
    interval = between(test["average_precision_interval"])
    told = [
        (fixed(test["average_precision"]), f"average precision, 0 to 1 (95% interval {interval})"),
        (share(recalls["0.1%"]), "of frauds found while one genuine transaction in 1,000 is flagged"),
        (share(recalls["1%"]), "of frauds found while one in 100 is flagged"),
        (number(test["expected_calibration_error"], 2), "expected calibration error: how far probabilities are off"),
        *_in_force(report),
    ]
    tiles = "".join(f'<div class="tile"><b>{value}</b><span>{words}</span></div>' for value, words in told)
    return f'<div class="tiles">{tiles}</div>'


def _in_force(report: Report) -> Iterator[tuple[str, str]]:
    """What the threshold in force does on the test period."""
    of = report["test"]["in_force"]
    if "precision" in of:
        yield (
            share(of["precision"]),
            f"of alerts are fraud, at the threshold in force ({share(of['alert_share'])} flagged)",
        )
    if "money_saved_a_day" in of:
        yield number(of["money_saved_a_day"], 4), f"saved a day at that threshold {safe(unit(report))}"


def _decisions(report: Report) -> Iterator[str]:
    bands = report["bands"]
    if not report["decisions"]:
        yield _section("The thresholds", "<p>This version's card does not say what its thresholds were chosen for.</p>")
        return
    amount = report["amount"]
    column = f"The amount is the column <b>{safe(amount['column'])}</b>, because {safe(amount['why'])}."
    yield _section(
        "The thresholds",
        f"<p>A transaction is reviewed from a probability of {bands['review']:.4g} and declined from "
        f"{bands['decline']:.4g}. Each threshold below was chosen on the validation period alone: <i>expected</i> is "
        "what "
        "it did there, <i>in the test</i> is what came of it later. A deployment may take another one by its settings. "
        f"{column if amount.get('column') else ''} Saved is what the frauds found would have cost, less the false "
        "alarms "
        f"{safe(unit(report))}.</p>" + tables.thresholds(report),
    )


def _beside(report: Report) -> Iterator[str]:
    if not report["rivals"]:
        why = safe(report["rivals_left_out"])
        yield _section("Beside other models", f"<p>No other model stands beside it: {why}.</p>")
        return
    yield _section(
        "Beside other models",
        "<p>The same rows, features and periods, learned by gradient-boosted trees (with bins fine enough for "
        "amounts) and "
        "by a logistic regression. The lead is the difference of average precision over 200 bootstrap samples of the "
        "test "
        "rows, the same for both: 95% lie in the interval. Where it holds zero, chance may explain the difference.</p>"
        + tables.rivals(report),
    )
    better = [each["name"] for each in report["rivals"] if tables.verdict(each) == "it is better"]
    if better:
        yield f"<p><b>Better than this version here: {safe(', '.join(better))}.</b></p>"


def _over_time(report: Report) -> Iterator[str]:
    found = [tables.segments(name, rows) for name, rows in report["by_time"].items()]
    if found:
        words = "<p>A model grows old: what it finds should not fall from one period to the next.</p>"
        yield _section("Over time", words + "".join(found))


def _segments(report: Report) -> Iterator[str]:
    tables_of = {"amount": report["by_amount"], **report["by_column"]}
    found = [f"<h3>{safe(name)}</h3>{tables.segments('value', rows)}" for name, rows in tables_of.items() if rows]
    if found:
        yield _section(
            "By segment",
            "<p>Whether it is good everywhere, or good on average. <i>Predicted</i> beside <i>share of fraud</i> tells "
            "where its probabilities are off; few frauds in a row mean that its figures are mostly chance. Values with "
            "fewer than 50 transactions are taken together.</p>" + "".join(found),
        )


def _importance(report: Report) -> Iterator[str]:
    yield _section(
        "What it leans on",
        "<p>Average precision lost when a column's values are dealt out among the transactions at random, all "
        "features of "
        "that column together. It says what <b>this model</b> uses, not what causes fraud; and of two columns that "
        "tell "
        "the same, either may look unimportant. Ids are no features and are not here.</p>" + tables.importance(report),
    )


def _honesty(report: Report) -> Iterator[str]:
    yield _section("How it was measured", "<p>The data is cut by time, never at random.</p>" + tables.periods(report))
    limits = [
        "Transactions count as independent in the intervals; frauds on one card come in bursts, so the truth is a "
        "little "
        "less certain.",
        "What was never reported as fraud counts as genuine.",
        "The test period was looked at to write this report. Whoever changes the model because of it needs a newer "
        "one.",
        *(safe(note) for note in report["notes"]),
    ]
    yield '<ul class="notes">' + "".join(f"<li>{each}</li>" for each in limits) + "</ul>"
    without = report["test"].get("lost_without")
    lost = f" Lost without a model in the test period: {money(without, unit(report))}." if without else ""
    yield (
        f'<p class="soft">Contract <code>{safe(report["contract"]["fingerprint"])}</code>; data '
        f"<code>{safe(report['data'].get('sha256', ''))}</code>; seed {safe(report['settings'].get('seed'))}.{lost}</p>"
    )

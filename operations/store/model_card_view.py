"""`fraud models show`: the model card, for people and as JSON."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contract.model_card import ModelCard
from contract.schema import FLOAT32_MAX, Column, Contract, Kind
from operations.store.models_view import release_state
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.store.version_archive import ArchiveContents
from operations.text import formatting


def view(registry: Registry, contents: ArchiveContents, now: datetime) -> RenderableType:
    """All that is known of a version."""
    card = contents.card
    parts: dict[str, RenderableType] = {
        f"Version {card.version}": Group(
            formatting.facts(_head(registry, contents, now)),
            formatting.facts({"fingerprint": contents.contract.fingerprint, "SHA-256": contents.entry.sha256}),
        ),
        "Data": Group(formatting.facts(data_facts(card.data)), _periods(card.data)),
        "Metrics": formatting.metrics(card.metrics),
        **({"History": history(card.history, contents.contract)} if contents.contract.history else {}),
        **({"Decisions": decisions(card.decisions)} if card.decisions else {}),
        **({"Report": evaluation(card.evaluation)} if card.evaluation else {}),
        "Columns": _columns(contents.contract),
        "Settings": formatting.facts({name: formatting.one_line(value) for name, value in card.settings.items()}),
        "Libraries": Text(formatting.one_line(card.libraries)),
        "Notes": Group(*(Text(f"- {note}") for note in card.notes)) if card.notes else Text("none"),
    }
    return formatting.sections(parts)


def as_json(contents: ArchiveContents) -> str:
    """Model card and contract as the archive holds them, in one JSON text."""
    fields = {"card": contents.card.to_json(), "contract": json.loads(contents.contract.to_bytes())}
    return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False)


def data_facts(data: Mapping[str, Any]) -> dict[str, str]:
    """What a version was trained on; an older card may say less."""
    rows, frauds = data.get("rows"), data.get("frauds")
    of_them = f" ({formatting.share(frauds / rows)})" if rows and frauds else ""
    return {
        "source": _source(data.get("source")),
        "rows": f"{formatting.number(rows)}, of them {formatting.number(frauds)} fraud{of_them}",
        "gap": f"{formatting.number(data.get('gap_days'))} days between the periods",
        "SHA-256": str(data.get("sha256", formatting.NONE)),
    }


def bands(card: ModelCard) -> str:
    """The decision thresholds in words."""
    return f"review from {formatting.number(card.bands.review)}, decline from {formatting.number(card.bands.decline)}"


def bounds(column: Column) -> str:
    """What the cells of a column may be, in words; of a category, how many values are known."""
    if column.kind is Kind.CATEGORY:
        return f"{len(column.values)} values"
    if column.kind is Kind.TIMESTAMP:
        return str(column.time_format)
    low, high = column.minimum > -FLOAT32_MAX, column.maximum < FLOAT32_MAX
    words = [f"from {formatting.number(column.minimum)}"] * low + [f"to {formatting.number(column.maximum)}"] * high
    return " ".join(words)


def _head(registry: Registry, contents: ArchiveContents, now: datetime) -> dict[str, str]:
    card, entry = contents.card, contents.entry
    signature = registry.signature(card.version)
    return {
        "state": release_state(card.version, read_record(registry.root)) or formatting.NONE,
        "created": f"{card.created} ({formatting.age(card.created, now)} ago)",
        "thresholds": bands(card),
        "half precision": f"changes a probability by {formatting.number(card.half_precision_difference)} at most",
        "contract": f"{contents.contract.name}, {len(contents.contract.features)} features",
        "archive": f"{entry.file}, {entry.size:,} bytes",
        "signature": signature.name if signature.exists() else "none",
    }


def _source(source: object) -> str:
    if isinstance(source, Mapping):
        return "; ".join(f"{name}: {formatting.one_line(value)}" for name, value in source.items())
    return str(source or formatting.NONE)


def _periods(data: Mapping[str, Any]) -> Table:
    table = formatting.columns("period", "rows", "frauds", "from", "to")
    for name, period in data.get("periods", {}).items():
        counts = (formatting.number(period.get(count)) for count in ("rows", "frauds"))
        table.add_row(Text(name), *counts, *(Text(formatting.moment(period.get(end))) for end in ("first", "last")))
    return table


def history(worth: Mapping[str, Any], contract: Contract) -> Group:
    """What the history features are worth on the test period, and which there are."""
    table = formatting.columns("on the test period", "with", "without", "neutral")
    for name in ("average_precision", "flagged_share"):
        by_training = worth.get(name, {})
        table.add_row(
            Text(name), *(formatting.number(by_training.get(each)) for each in ("with", "without", "neutral"))
        )
    gain = f"gain in average precision: {formatting.number(worth.get('gain'))}; neutral: nothing is known of the past"
    return Group(table, Text(gain), *(Text(f"- {window.name}") for window in contract.history))


def decisions(fields: Mapping[str, Any]) -> Group:
    """Thresholds by what they were chosen for: expected by the validation period, and found in the test period."""
    names = {"alert_share": "flagged", "precision": "precision", "recall": "recall", "value_detected": "value"}
    table = formatting.columns("for", "from", "", *names.values(), "saved a day")
    for name, point in fields.get("points", {}).items():
        budget = name.removeprefix("budget of ").removesuffix(" of transactions")  # 0.5%
        for period in ("expected", "test"):
            row = [formatting.share(point.get(period, {}).get(each)) for each in names]
            start = (budget, formatting.number(point["threshold"])) if period == "expected" else ("", "")
            table.add_row(*map(Text, (*start, period, *row, formatting.number(_saved(point.get(period, {}))))))
    amount = fields.get("amount", {})
    column = f"the column {amount['column']}, because {amount['why']}" if amount.get("column") else amount.get("why")
    return Group(table, Text(f"amount: {column or formatting.NONE}"), *map(Text, _costs(fields.get("costs"))))


def evaluation(fields: Mapping[str, Any]) -> Group:
    """The short form of the report that is packed with the version."""
    interval = " to ".join(map(formatting.number, fields.get("average_precision_interval") or ())) or formatting.NONE
    lines = [
        f"average precision on the test period, 95% interval: {interval}",
        *map(_baseline, fields.get("rivals", ())),
    ]
    return Group(*map(Text, lines), Text("the long form: report.html in the archive, or `fraud evaluate`"))


def _baseline(fields: Mapping[str, Any]) -> str:
    lead = fields.get("difference")
    within = f"; the lead over it is from {lead[0]:+.3f} to {lead[1]:+.3f}" if lead else ""
    return f"{fields['name']}: {formatting.number(fields['average_precision'])}{within}"


def _saved(of: Mapping[str, Any]) -> object:
    """To the unit: nobody counts cents of an estimate."""
    saved = of.get("money_saved_a_day")
    return None if saved is None else float(round(saved))


def _costs(fields: Mapping[str, Any] | None) -> list[str]:
    if not fields:
        return []
    basis = "stated" if fields["stated"] else "assumed: state it with --false-alarm"
    alarm, missed = formatting.number(fields["false_alarm"]), formatting.number(fields["missed"])
    return [f"costs: a false alarm {alarm}, a missed fraud {missed} x its amount ({basis})"]


def _columns(contract: Contract) -> Table:
    table = Table("name", "kind", "if missing", "values", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in contract.columns:
        table.add_row(*map(Text, (column.name, column.kind, column.missing, bounds(column))))
    return table

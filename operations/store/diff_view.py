"""`fraud models diff`: two versions side by side, for people. No row and no cell value is shown."""

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from operations.store.diff import ColumnDifference, ScoreDifference, VersionDifference
from operations.store.model_card_view import bands, data_facts
from operations.store.version_archive import ArchiveContents
from operations.text import formatting

OTHER_DATA = "The data differs, and so do the rows that each was measured on: these metrics do not compare."
ENOUGH = 1000
"""Rows below which chance alone adds more than 0.01 to the stability index."""


def view(difference: VersionDifference) -> RenderableType:
    """All differences, section by section."""
    first, second = difference.first, difference.second
    names = tuple(f"version {each.card.version}" for each in (first, second))
    parts: dict[str, RenderableType] = {
        "Data": _data(first, second, names),
        "Metrics": _metrics(first.card.metrics, second.card.metrics, names),
        "Thresholds": formatting.facts({names[0]: bands(first.card), names[1]: bands(second.card)}),
        "Columns": _columns(difference.columns, names),
        "Scores": _scores(difference, names),
    }
    return formatting.sections(parts)


def _data(first: ArchiveContents, second: ArchiveContents, names: tuple[str, ...]) -> RenderableType:
    facts = [data_facts(each.card.data) for each in (first, second)]
    if facts[0] == facts[1]:
        return Group(formatting.facts(facts[0]), Text("Both were trained on this data."))
    parts = [part for name, each in zip(names, facts, strict=True) for part in (Text(name), formatting.facts(each))]
    same = facts[0]["SHA-256"] == facts[1]["SHA-256"]
    return Group(*parts, Text("Both were trained on the same data." if same else OTHER_DATA))


def _metrics(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]], names: tuple[str, ...]
) -> Table:
    table = formatting.columns("metric", *names, "difference")
    for period in dict.fromkeys([*first, *second]):
        ours, theirs = first.get(period, {}), second.get(period, {})
        table.add_row(Text(period, style="italic"))
        for name in dict.fromkeys([*ours, *theirs]):
            before, after = ours.get(name), theirs.get(name)
            table.add_row(
                Text(f"  {name}"),
                formatting.number(before),
                formatting.number(after),
                formatting.difference(before, after),
            )
    return table


def _columns(columns: ColumnDifference, names: tuple[str, ...]) -> RenderableType:
    changes = dict(_changes(columns, names))
    return formatting.facts(changes) if changes else Text("the same")


def _changes(columns: ColumnDifference, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if columns.first:
        yield f"only in {names[0]}", ", ".join(columns.first)
    if columns.second:
        yield f"only in {names[1]}", ", ".join(columns.second)
    yield from columns.changed.items()
    if columns.features:
        yield "features", "other ones are made of the columns"


def _scores(difference: VersionDifference, names: tuple[str, ...]) -> RenderableType:
    lines = list[Text]()
    for golden in difference.golden:
        of = " and ".join(f"version {version}" for version in golden.of)
        lines.append(Text(f"Golden rows of {of}: {golden.shared} of {golden.rows} can be read by both."))
    if difference.scored is None:
        return Group(*lines, Text("No row can be read by both, so their scores do not compare."))
    return Group(*lines, formatting.facts(_compared(difference.scored, names)))


def _compared(scored: ScoreDifference, names: tuple[str, ...]) -> dict[str, str]:
    rough = "; rough, of so few rows" if scored.rows < ENOUGH else ""
    flagged = zip(names, scored.flagged, strict=True)
    return {
        "rows scored by both": str(scored.rows),
        "largest difference": f"{scored.largest:.2g}",
        "mean difference": f"{scored.mean:.2g}",
        "decided otherwise": f"{scored.differ} ({formatting.share(scored.differ / scored.rows)})",
        "flagged": ", ".join(f"{formatting.share(share)} by {name}" for name, share in flagged),
        "stability index": f"{scored.stability:.2f} (below 0.1 alike, above 0.25 another distribution{rough})",
    }

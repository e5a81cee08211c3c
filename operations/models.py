"""The table of `fraud models`: what is in the store, and what each version is at the moment."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from contract.release import Release
from operations.registry import Entry, Registry
from operations.release import recorded


def table(store: Path) -> Table | Text:
    """One row for each version, the newest first; a sentence where there is none."""
    live, registry = recorded(store), Registry(store)
    rows = {entry.version: _row(entry, live) for entry in registry.entries()}
    rows |= {version: (str(version), "-", "-", "damaged") for version in registry.damaged()}
    if not rows:
        return Text(f"no versions in {store}; `fraud train` makes one")
    shown = Table("version", "created", "test AP", "state", box=None)
    for version in sorted(rows, reverse=True):
        shown.add_row(*rows[version])
    return shown


def _row(entry: Entry, live: Release | None) -> tuple[str, str, str, str]:
    precision = entry.metrics.get("test", {}).get("average_precision")
    quality = f"{precision:.3f}" if isinstance(precision, int | float) else "-"
    return str(entry.version), entry.created, quality, _state(entry.version, live)


def _state(version: int, live: Release | None) -> str:
    if live is None:
        return ""
    return {live.version: "live", live.previous: "previous"}.get(version, "")

"""The table of `fraud models`: what is in the store, and what each version is at the moment."""

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from contract.release import Release
from operations.registry import Entry, Registry
from operations.release import recorded


def table(store: Path) -> Table:
    """One row for each version, the newest first."""
    live = recorded(store)
    shown = Table("version", "created", "test AP", "state", box=None)
    for row in _rows(Registry(store).entries(), live):
        shown.add_row(*row)
    return shown


def _rows(entries: list[Entry], live: Release | None) -> Iterator[tuple[str, str, str, str]]:
    for entry in reversed(entries):
        precision = entry.metrics.get("test", {}).get("average_precision")
        quality = "-" if precision is None else f"{precision:.3f}"
        yield str(entry.version), entry.created, quality, _state(entry.version, live)


def _state(version: int, live: Release | None) -> str:
    if live is None:
        return ""
    return {live.version: "live", live.previous: "previous"}.get(version, "")

"""The table of `fraud models`: what is in the store, and what each version is at the moment."""

from datetime import datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from operations.store.registry import Entry, Registry
from operations.store.release_record import read_record
from operations.text import formatting
from releases.record import Release, Trial, TrialKind

SHORT = 8
"""Digits of a fingerprint that tell the contracts of one store apart."""


def models_table(store: Path, now: datetime) -> Table | Text:
    """One row for each version, the newest first; a sentence where there is none."""
    record, registry = read_record(store), Registry(store)
    rows = {entry.version: _row(registry, entry, record, now) for entry in registry.entries()}
    rows |= {version: (str(version), *["-"] * 5, _joined("damaged", version, record)) for version in registry.damaged()}
    if not rows:
        return Text(f"no versions in {store}; `fraud train` makes one")
    shown = Table("version", "age", "test AP", "test AUC", "flagged", "columns", "state", box=None)
    for version in sorted(rows, reverse=True):
        shown.add_row(*rows[version])
    return shown


def release_state(version: int, record: Release | None) -> str:
    """What the release record makes of a version, in words; empty for nothing."""
    if record is None:
        return ""
    states = {
        "live": version == record.version,
        f"took over for {record.instead_of}": version == record.version and record.instead_of is not None,
        "previous": version == record.previous,
        "failed to load": version == record.instead_of,
    }
    words = [word for word, holds in states.items() if holds]
    return ", ".join(words + ([_trial(record.trial)] if record.trial and version == record.trial.version else []))


def _trial(trial: Trial) -> str:
    return "shadow" if trial.kind is TrialKind.SHADOW else f"canary {formatting.share(trial.share)}"


def _row(registry: Registry, entry: Entry, record: Release | None, now: datetime) -> tuple[str, ...]:
    test = entry.metrics.get("test", {})
    return (
        str(entry.version),
        formatting.age(entry.created, now),
        *(_three_digits(test.get(name)) for name in ("average_precision", "roc_auc")),
        formatting.share(test.get("flagged_share")),
        entry.contract_fingerprint[:SHORT],
        _joined("" if _is_there(registry, entry) else "damaged", entry.version, record),
    )


def _three_digits(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else formatting.NONE


def _is_there(registry: Registry, entry: Entry) -> bool:
    """Whether there is an archive of the right size; its bytes are read through before it is loaded, not here."""
    try:
        return (registry.root / entry.file).stat().st_size == entry.size
    except OSError:
        return False


def _joined(fault: str, version: int, record: Release | None) -> str:
    return ", ".join(word for word in (fault, release_state(version, record)) if word)

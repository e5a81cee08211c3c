"""Scores the golden rows of archives again, without TorchServe: `fraud backup verify`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.golden import TOLERANCE
from operations.backups import backup
from operations.errors import OperationsError
from operations.files import scratch
from operations.settings import StatePaths
from operations.store.registry import Entry, Registry
from operations.store.release_record import read_record
from operations.store.version_archive import load_version


@dataclass(frozen=True, slots=True)
class GoldenCheck:
    """What became of one version.

    Attributes:
        live: whether the release record names it.
        difference: the largest of a probability from the one that training computed.
        error: why it could not be scored; empty if it could.
    """

    version: int
    live: bool
    rows: int = 0
    difference: float = float("inf")
    error: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it scores as it did in training."""
        return self.difference <= TOLERANCE  # Not so for NaN.

    def __str__(self) -> str:
        """One line for a person."""
        name = f"version {self.version}{' (live)' if self.live else ''}"
        if self.error:
            return f"{name}: {self.error}"
        verdict = "as in training" if self.is_good else "OTHERWISE THAN IN TRAINING"
        return f"{name}: {self.rows} golden rows score {verdict}, largest difference {self.difference:.1e}"


def check_golden_rows(file: Path) -> Iterator[GoldenCheck]:
    """Restores a backup into a scratch directory and scores the golden rows of each version in it, oldest first.

    Raises:
        OperationsError: the backup is damaged.
    """
    with scratch.directory() as temporary:
        paths = StatePaths(Path(temporary), Path(temporary) / "model_store")
        backup.restore(file, paths)
        registry, record = Registry(paths.store), read_record(paths.store)
        live = record.version if record else None
        for entry in registry.entries():
            yield _check_version(registry, entry, live=entry.version == live)
        if live is not None:
            registry.entry(live)


def _check_version(registry: Registry, entry: Entry, *, live: bool) -> GoldenCheck:
    try:
        version = load_version(registry, entry.version)
        probabilities = version.score_golden()
    except OperationsError as error:
        return GoldenCheck(entry.version, live, error=str(error))
    return GoldenCheck(entry.version, live, len(probabilities), version.golden.difference(probabilities))

"""The commands that train: imported only by them, for `training` brings torch and pandas."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from operations.errors import OperationsError, in_words
from operations.registry import Entry, Registry
from training.errors import TrainingError
from training.infer import infer_schema
from training.progress import Reporter
from training.train import TrainRequest, write_sample
from training.train import train as run_training


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options ask for; None takes what training takes by itself."""

    data: Path | None
    schema: Path | None
    seed: int
    epochs: int | None


def train(registry: Registry, wanted: Wanted, console: Console) -> Entry:
    """Trains the next version and adds it to the store.

    Raises:
        OperationsError: the data or the request cannot be used.
    """
    with _refusals(), _scratch(registry) as directory:
        trained = run_training(_request(registry.next_version(), directory, wanted), Reporter(console))
        for note in trained.card.notes:
            console.print(f"note: {note}", markup=False)
        return registry.add(trained.archive, trained.card, trained.contract)


@contextlib.contextmanager
def _scratch(registry: Registry) -> Iterator[Path]:
    registry.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=registry.root) as directory:
        yield Path(directory)


def _request(version: int, out: Path, wanted: Wanted) -> TrainRequest:
    request = TrainRequest(version, out, wanted.data, wanted.schema, wanted.seed)
    return request if wanted.epochs is None else replace(request, epochs=wanted.epochs)


def metrics(entry: Entry) -> Table:
    """The metrics of a version, a column for each period."""
    periods = list(entry.metrics)
    table = Table("metric", *periods, box=None)
    for name in dict.fromkeys(name for period in periods for name in entry.metrics[period]):
        values = [entry.metrics[period].get(name) for period in periods]
        table.add_row(name, *("-" if value is None else f"{value:.4g}" for value in values))
    return table


def infer(file: Path) -> str:
    """The text of a first schema for a file.

    Raises:
        OperationsError: the file cannot be used.
    """
    with _refusals():
        return infer_schema(file)


def sample(file: Path, rows: int) -> int:
    """Writes transactions that training never saw; says how many."""
    with _refusals():
        return write_sample(file, rows=rows)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Turns what training refuses, and files that cannot be written, into errors for people."""
    try:
        yield
    except TrainingError as error:
        raise OperationsError(str(error)) from None
    except OSError as error:
        raise OperationsError(in_words(error)) from None
    except subprocess.TimeoutExpired as error:
        raise OperationsError(f"packing the archive took longer than {error.timeout:.0f} s and was given up") from None

"""The commands that train: imported only by them, for `training` brings torch and pandas."""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console, RenderableType

from contract.file_check import check_file
from operations.errors import OperationsError, in_words
from operations.files import scratch
from operations.store import file_check_view
from operations.store.registry import Entry, Registry, VersionTaken
from training import source
from training.checkpoint import Checkpoints
from training.errors import SchemaError, TrainingError
from training.infer import infer_schema
from training.presets import all_presets, find_preset
from training.progress import Reporter
from training.schema import parse_schema
from training.threshold_choice import Budget, DecisionOptions
from training.train import Trained, TrainRequest, renumbered, write_sample
from training.train import train as run_training

CHECKPOINTS = ".checkpoints"
"""In the store: what a training that was ended goes on from."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What the options ask for; None takes what training takes by itself."""

    data: Path | None
    schema: Path | None
    seed: int
    epochs: int | None
    allow_leaks: tuple[str, ...] = ()
    threads: int = 0
    tune: int = 0
    resume: bool = True
    decision_options: DecisionOptions = field(default_factory=DecisionOptions)
    beside: bool = False


def train(registry: Registry, options: TrainOptions, console: Console) -> Entry:
    """Trains the next version and adds it to the store.

    Raises:
        OperationsError: the data or the request cannot be used.
    """
    registry.keys.check()
    with _readable_errors(), contextlib.ExitStack() as stack:
        registry.root.mkdir(parents=True, exist_ok=True)
        directory = Path(stack.enter_context(scratch.directory(registry.root)))
        reporter = Reporter(console)
        checkpoints = Checkpoints(registry.root / CHECKPOINTS, resume=options.resume, say=reporter.say)
        request = replace(_request(registry.next_version(), directory, options), checkpoints=checkpoints)
        trained = run_training(request, reporter)
        for note in trained.card.notes:
            console.print(f"note: {note}", markup=False)
        return _add(registry, trained, console)


def _add(registry: Registry, trained: Trained, console: Console) -> Entry:
    """Takes a version in; under the next number where another training was quicker to take its own."""
    while True:
        with contextlib.suppress(VersionTaken):
            return registry.add(trained.archive, trained.card, trained.contract)
        trained = renumbered(trained, registry.next_version())
        console.print(f"its number was taken meanwhile: this is version {trained.card.version}")


def _request(version: int, out: Path, options: TrainOptions) -> TrainRequest:
    request = TrainRequest(
        version, out, options.data, options.schema, options.seed,
        threads=options.threads, tune=options.tune, allow_leaks=options.allow_leaks,
        decision_options=options.decision_options, compare=options.beside,
    )  # fmt: skip
    return request if options.epochs is None else replace(request, epochs=options.epochs)


def parse_decision_options(
    alerts: str | None, false_alarm: float | None, missed: float, amount: str | None
) -> DecisionOptions:
    """What the options state of the decisions.

    Raises:
        OperationsError: it is no budget, or no cost.
    """
    with _readable_errors():
        return DecisionOptions(None if alerts is None else Budget.parse(alerts), false_alarm, missed, amount)


def infer(file: Path) -> str:
    """The text of a first schema for a file.

    Raises:
        OperationsError: the file cannot be used.
    """
    with _readable_errors():
        return infer_schema(file)


def preset(name: str, file: Path | None = None) -> str:
    """The schema file of a known export; without the tables of columns that a file of it lacks, where one is given.

    Raises:
        OperationsError: no preset is called so, or the file cannot be used.
    """
    with _readable_errors():
        found = find_preset(name)
        return found.text if file is None else found.fitted(file)


def preset_list() -> str:
    """The names of the presets, each with what it is of."""
    presets = all_presets()
    width = max(len(each.name) for each in presets)
    return "".join(f"{each.name:<{width}}  {each.summary}\n" for each in presets)


def check_page(schema: str, file: Path) -> RenderableType:
    """What a schema reads of the file that it was inferred from; nothing of a parquet file, whose columns have types.

    Raises:
        OperationsError: the file cannot be used.
    """
    if source.is_parquet(file):
        return ""
    with _readable_errors():
        body = source.unpacked(source.read_bytes(file))
    try:
        contract = parse_schema(schema).contract({})
    except SchemaError as error:  # Its reader must first say which column is a feature.
        return str(error)
    return file_check_view.view(check_file(contract, body))


def sample(file: Path, rows: int) -> int:
    """Writes transactions that training never saw; says how many."""
    with _readable_errors():
        return write_sample(file, rows=rows)


@contextlib.contextmanager
def _readable_errors() -> Iterator[None]:
    """Turns what training refuses, and files that cannot be written, into errors for people."""
    try:
        yield
    except TrainingError as error:
        raise OperationsError(str(error)) from None
    except OSError as error:
        raise OperationsError(in_words(error)) from None
    except subprocess.TimeoutExpired as error:
        raise OperationsError(f"packing the archive took longer than {error.timeout:.0f} s and was given up") from None

"""What `fraud history load` does and prints."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from history.epoch import Epoch
from operations.history import load, past_file
from operations.history.past_transactions import ParsedFile, ProgressCallback
from operations.history.version_history import VersionHistory
from operations.network.endpoints import history_key, require_redis_url
from operations.settings import StatePaths, known_seconds


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of the command.

    Attributes:
        file: CSV or parquet; None loads what the version was trained on, if that was simulated.
        version: to load for; None is the live one.
        skip: whether rows at fault are left out.
    """

    file: Path | None
    version: int | None
    skip: bool


def run(paths: StatePaths, env: Mapping[str, str], options: LoadOptions, console: Console) -> None:
    """Loads, and shows progress bars.

    Raises:
        OperationsError: it cannot be loaded, or was cut off.
    """
    url, known, key = require_redis_url(paths, env), known_seconds(env), history_key(paths, env)
    history = VersionHistory.of(paths.store, options.version)
    with _progress(console) as bars:
        file = _read(history, options, _ProgressBar(bars, "reading", 0))
        target = load.LoadTarget(url, history.plan, known, key)
        rows = file.past.rows if file.past else 0
        epoch = load.epoch_before(url, paths.store, key)
        result = load.load(target, file, _ProgressBar(bars, "loading", rows))
        epoch = load.epoch_after(url, epoch, history.plan, file)
    for line in (*_summary(history, file, result), *_warning(epoch, history.plan.seconds)):
        console.print(line, markup=False)


def _read(history: VersionHistory, options: LoadOptions, on_progress: ProgressCallback) -> ParsedFile:
    if options.file:
        return past_file.read(history.contract, history.plan, options.file, on_progress, skip=options.skip)
    file = past_file.read_bytes(history.contract, history.plan, history.simulated_csv(), on_progress)
    # Named by the hash in the card, so that nobody needs to simulate to see whether it is loaded.
    return replace(file, sha256=str(history.card.data["sha256"]))


def _summary(history: VersionHistory, file: ParsedFile, result: load.LoadResult) -> Iterator[str]:
    parts = [f"{file.rows:,} transactions"]
    parts += [f"{file.skipped:,} at fault and left out"] if file.skipped else []
    parts += [f"{file.untimed:,} without a time and left out"] if file.untimed else []
    parts += [f"{file.repeated:,} that stood there before and count once"] if file.repeated else []
    parts += [f"{file.older:,} older than any window of version {history.version} and left out"] if file.older else []
    yield "Read " + ", ".join(parts) + "."
    if not file.past:
        yield "Nothing was left to load."
    elif not result.rows:
        yield f"All of it was loaded for version {history.version} before: nothing was to be done."
    else:
        yield from _loaded_lines(history, file, result)


def _loaded_lines(history: VersionHistory, file: ParsedFile, result: load.LoadResult) -> Iterator[str]:
    resumed = " (this run went on where another had ended)" if result.resumed else ""
    took = f"in {result.seconds:.1f} s{resumed}: {_period(file)}"
    yield f"Loaded {result.rows:,} of them for version {history.version} {took}."
    if result.known:
        yield f"{result.known:,} were known already and count once: a label of theirs comes by POST /v1/labels."
    if result.unresolved:
        count = f"{result.unresolved:,}"
        yield f"{count} of these entered for versions that Redis does not know: they stay as they are."


def _warning(epoch: Epoch, window: float) -> Iterator[str]:
    if epoch.is_incomplete(window, time.time()):
        oldest = _moment(epoch.reaches_back_to or 0.0)
        yield f"Redis had been emptied; history reaches back to {oldest}: answers stay degraded until that is enough."


def _period(file: ParsedFile) -> str:
    assert file.past is not None  # noqa: S101 - the caller looked; mypy cannot see it.
    first, last = (_moment(float(seconds)) for seconds in (file.past.seconds.min(), file.past.seconds.max()))
    return f"from {first} to {last}"


def _moment(seconds: float) -> str:
    """A time as text; as a number where it is not since 1970, as in some data."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f} s"


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class _ProgressBar:
    """Moves one of the progress bars."""

    def __init__(self, bars: Progress, description: str, rows: int) -> None:
        """Takes the number of transactions; 0 where it is not known yet."""
        self._bars, self._description, self._rows = bars, description, rows
        self._task: TaskID | None = None
        self._began = 0

    def __call__(self, done: int, total: int) -> None:
        if self._task is None:
            self._task, self._began = self._bars.add_task(self._description, total=total, speed=""), done
        elapsed = self._bars.tasks[self._task].elapsed or 0.0
        rate = self._rows * (done - self._began) / max(total, 1) / elapsed if elapsed > 0 else 0.0
        self._bars.update(self._task, completed=done, speed=f"{rate:,.0f} rows/s" if self._rows and rate else "")

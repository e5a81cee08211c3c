"""What `fraud history load` does and says."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from history.epoch import Epoch
from operations.history import epochs, load, past_file
from operations.history.past import ParsedFile, ProgressCallback
from operations.history.plans import PlanLayouts
from operations.history.wanted import VersionHistory, wanted
from operations.network.endpoints import history_key, require_redis_url
from operations.settings import StatePaths, known_seconds


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the options say.

    Attributes:
        file: CSV or parquet; None loads what the version was trained on, if that was simulated.
        version: None is the live one.
        skip: leaves rows at fault out.
    """

    file: Path | None
    version: int | None
    skip: bool


def run(paths: StatePaths, env: Mapping[str, str], wish: LoadOptions, console: Console) -> None:
    """Loads, with a bar.

    Raises:
        OperationsError: it cannot be, or was cut off.
    """
    url, known, key = require_redis_url(paths, env), known_seconds(env), history_key(paths, env)
    what = wanted(paths.store, wish.version)
    with _bar(console) as bar:
        found = _read(what, wish, _ProgressBar(bar, "reading", 0))
        target = load.Target(url, what.plan, PlanLayouts(what.registry, what.plan, what.contract), known, key)
        rows = found.past.rows if found.past else 0
        epoch = epochs.begun(url, paths.store, key)
        loaded = load.load(target, found, _ProgressBar(bar, "loading", rows))
        epoch = epochs.reached(url, epoch, what.plan, found)
    for line in (*_said(what, found, loaded), *_short(epoch, what.plan.seconds)):
        console.print(line, markup=False)


def _read(what: VersionHistory, wish: LoadOptions, told: ProgressCallback) -> ParsedFile:
    if wish.file:
        return past_file.read(what.contract, what.plan, wish.file, told, skip=wish.skip)
    from operations.history import simulated

    found = past_file.read_bytes(what.contract, what.plan, simulated.transactions(what), told)
    # Known by what the card says, so that nobody needs to simulate to see whether it is loaded.
    return replace(found, sha256=str(what.card.data["sha256"]))


def _said(what: VersionHistory, found: ParsedFile, loaded: load.LoadResult) -> Iterator[str]:
    parts = [f"{found.rows:,} transactions"]
    parts += [f"{found.skipped:,} at fault and left out"] if found.skipped else []
    parts += [f"{found.untimed:,} without a time and left out"] if found.untimed else []
    parts += [f"{found.repeated:,} that stood there before and count once"] if found.repeated else []
    parts += [f"{found.older:,} older than any window of version {what.version} and left out"] if found.older else []
    yield "Read " + ", ".join(parts) + "."
    if not found.past:
        yield "Nothing was left to load."
    elif not loaded.rows:
        yield f"All of it was loaded for version {what.version} before: nothing was to be done."
    else:
        yield from _entered(what, found, loaded)


def _entered(what: VersionHistory, found: ParsedFile, loaded: load.LoadResult) -> Iterator[str]:
    again = " (this run went on where another had ended)" if loaded.resumed else ""
    took = f"in {loaded.seconds:.1f} s{again}: {_period(found)}"
    yield f"Loaded {loaded.rows:,} of them for version {what.version} {took}."
    if loaded.known:
        yield f"{loaded.known:,} were known already and count once: a label of theirs comes by POST /v1/labels."
    if loaded.doubted:
        yield f"{loaded.doubted:,} of these entered for versions that are in the store no more: they stay as they are."


def _short(epoch: Epoch, window: float) -> Iterator[str]:
    if epoch.is_incomplete(window, time.time()):
        reach = _moment(epoch.reaches_back_to or 0.0)
        yield f"Redis had been emptied; history reaches back to {reach}: answers stay degraded until that is enough."


def _period(found: ParsedFile) -> str:
    assert found.past is not None  # noqa: S101 - the caller looked; mypy cannot see it.
    first, last = (_moment(float(seconds)) for seconds in (found.past.seconds.min(), found.past.seconds.max()))
    return f"from {first} to {last}"


def _moment(seconds: float) -> str:
    """A time for people; of data that counts seconds from another beginning the number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f} s"


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar


class _ProgressBar:
    """Moves one bar."""

    def __init__(self, bar: Progress, what: str, rows: int) -> None:
        """Takes how many transactions all of it is; 0 where that is not known yet."""
        self._bar, self._what, self._rows = bar, what, rows
        self._task: TaskID | None = None
        self._began = 0

    def __call__(self, done: int, whole: int) -> None:
        if self._task is None:
            self._task, self._began = self._bar.add_task(self._what, total=whole, speed=""), done
        elapsed = self._bar.tasks[self._task].elapsed or 0.0
        rate = self._rows * (done - self._began) / max(whole, 1) / elapsed if elapsed > 0 else 0.0
        self._bar.update(self._task, completed=done, speed=f"{rate:,.0f} rows/s" if self._rows and rate else "")

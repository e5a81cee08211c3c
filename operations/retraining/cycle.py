"""`fraud train --release ...`: trains, judges, and releases what passes. Made to be run by a timer.

The verdict is kept as JSON in var/verdicts/, whatever comes of it. A version that does not pass is no failure; one that
passes and cannot be released is.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from contract.decision import NO_OVERRIDES
from operations.errors import OperationsError
from operations.files import durable
from operations.retraining.live_comparison import compare_with_live
from operations.retraining.release_rule import ReleaseCriteria, ReleaseMode, Verdict
from operations.retraining.train import TrainOptions, train
from operations.rollout import release_commands
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.text import formatting

Find = Callable[[], DeploymentTarget]
"""Finds what runs here, or raises an OperationsError; asked before the training and after it."""


def retrain(
    paths: StatePaths, find: Find, options: TrainOptions, criteria: ReleaseCriteria, console: Console
) -> Verdict:
    """Trains the next version, judges it against the live one, and releases it if it passes.

    Raises:
        OperationsError: the data cannot be used; or the version passed but could not be released, and is in the store.
    """
    running = _running(find)
    registry = Registry(running.store if running else paths.store)
    entry = train(registry, options, console)
    console.print(formatting.metrics(entry.metrics))
    verdict = compare_with_live(
        registry, entry.version, options.data, criteria, running.thresholds if running else NO_OVERRIDES
    )
    where = _write_verdict(paths, verdict)
    for line in (*verdict.lines(), f"The verdict is in {where}."):
        console.print(line, markup=False)
    if verdict.passed:
        _release(find, registry, verdict, console)
    return verdict


def _running(find: Find) -> DeploymentTarget | None:
    """The stack that runs here; None where there is none, or it is not the one that is meant."""
    with contextlib.suppress(OperationsError):
        return find()
    return None


def _write_verdict(paths: StatePaths, verdict: Verdict) -> Path:
    paths.verdicts.mkdir(parents=True, exist_ok=True)
    path = paths.verdicts / f"fraud-{verdict.version}.json"
    durable.write(path, (json.dumps(verdict.to_json(), indent=1) + "\n").encode())
    return path


def _release(find: Find, registry: Registry, verdict: Verdict, console: Console) -> None:
    try:
        running = find()
        _refuse_other(running.store, registry, verdict)
        release_commands.release(running, _release_options(verdict), console.print)
    except OperationsError as error:
        command = verdict.criteria.command(verdict.version)
        raise OperationsError(
            f"version {verdict.version} is in the model store but was not released: {error}; then: {command}"
        ) from None


def _refuse_other(store: Path, registry: Registry, verdict: Verdict) -> None:
    """The training took a while: the number must still be this version's, and the rival the one that was beaten."""
    if store.resolve() != registry.root.resolve():
        raise OperationsError(f"the stack that runs here loads from {store}, and it is in {registry.root}")
    record = read_record(store)
    live = record.version if record else None
    if live != verdict.live:
        raise OperationsError(f"version {live} went live meanwhile, and it was compared with {verdict.live}")


def _release_options(verdict: Verdict) -> release_commands.ReleaseOptions:
    """The gate is not asked again: it has passed these rows, which are many more than the golden ones."""
    goal = verdict.criteria.goal
    return release_commands.ReleaseOptions(
        what=str(verdict.version),
        canary=verdict.criteria.share if goal is ReleaseMode.CANARY else None,
        shadow=goal is ReleaseMode.SHADOW,
        accept_shift=goal is ReleaseMode.LIVE,
    )

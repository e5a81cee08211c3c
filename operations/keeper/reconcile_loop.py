"""The rounds of a stack or a keeper: reconcilers and the watch over a trial, each again and again until it stops."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from operations.keeper import defect, first_model
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.rollout.reconciler import Reconciler
from operations.rollout.trial_monitor import TrialMonitor
from operations.rollout.version_loader import ReconcileResult
from operations.settings import ControllerSettings
from operations.store.registry import Registry

T = TypeVar("T")
LOOK_EVERY = 1.0
LOOK_EVERY_WHILE_DOWN = 0.1
FROZEN = 60.0
"""Seconds that TorchServe may run without answering before it is taken for frozen; it is up in 3 to 5."""


async def reconcile(
    reconciler: Reconciler,
    frozen: Callable[[], None],
    say: Callable[[str], None],
    seen: Callable[[ReconcileResult], None] = lambda _: None,
) -> None:
    """Keeps a model server as the record says, for ever.

    Args:
        reconciler: looks at the server.
        frozen: called each FROZEN seconds in which the server has not answered.
        say: hears of defects.
        seen: takes what each look found.
    """
    answered = time.monotonic()
    while True:
        found = await _guarded(reconciler.reconcile, say) or ReconcileResult.FAILED
        seen(found)
        if found is not ReconcileResult.SERVER_DOWN:
            answered = time.monotonic()
        elif time.monotonic() - answered > FROZEN:
            frozen()
            answered = time.monotonic()
        await asyncio.sleep(LOOK_EVERY_WHILE_DOWN if found is ReconcileResult.SERVER_DOWN else LOOK_EVERY)


async def watch(watching: TrialMonitor, say: Callable[[str], None]) -> None:
    """Looks at the trial, for ever."""
    while True:
        await _guarded(watching.check, say)
        await asyncio.sleep(LOOK_EVERY)


async def _guarded(look: Callable[[], T], say: Callable[[str], None]) -> T | None:
    """What a look found; None where it met what it does not expect, which must not end the gateway."""
    try:
        return await run_in_daemon_thread(look)
    except Exception as error:  # noqa: BLE001 - the last place where a defect can be told and gone past
        say(defect.said(error))
        return None


class BaseModelTrainer:
    """Trains the base model for the reconciler, which is on a thread, as a task that ends with the stack."""

    def __init__(self, settings: ControllerSettings, registry: Registry, mark: Mapping[str, str]) -> None:
        """Is made on the loop."""
        self._settings = settings
        self._registry = registry
        self._mark = mark
        self._loop = asyncio.get_running_loop()

    def __call__(self) -> int:
        """Says which version it is, after about a minute.

        Raises:
            OperationsError: no model came of it.
        """
        training = first_model.train(self._settings, self._registry, self._mark)
        return asyncio.run_coroutine_threadsafe(training, self._loop).result()

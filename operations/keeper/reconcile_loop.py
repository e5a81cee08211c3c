"""The loops of `fraud up` and `fraud keep`: each reconciles a model server or monitors a trial until cancelled."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from operations.errors import describe_defect
from operations.keeper import first_model
from operations.processes.console_log import log
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.reconciler import Reconciler
from operations.rollout.recovery import TrainBaseModel
from operations.rollout.trial_monitor import TrialMonitor
from operations.rollout.version_loader import ReconcileResult
from operations.settings import ControllerSettings

T = TypeVar("T")
POLL_SECONDS = 1.0
POLL_SECONDS_WHILE_DOWN = 0.1
HANG_SECONDS = 60.0
"""Seconds that TorchServe may run without answering before it is taken for hung; it is up in 3 to 5."""


async def reconcile_forever(
    reconciler: Reconciler,
    on_hang: Callable[[], None],
    on_result: Callable[[ReconcileResult], None] = lambda _: None,
) -> None:
    """Keeps a model server as the release record says, until it is cancelled.

    Args:
        reconciler: of that server.
        on_hang: called each HANG_SECONDS in which the server has not answered.
        on_result: takes the result of each poll.
    """
    answered = time.monotonic()
    while True:
        result = await _guarded(reconciler.reconcile) or ReconcileResult.FAILED
        on_result(result)
        if result is not ReconcileResult.SERVER_DOWN:
            answered = time.monotonic()
        elif time.monotonic() - answered > HANG_SECONDS:
            on_hang()
            answered = time.monotonic()
        await asyncio.sleep(POLL_SECONDS_WHILE_DOWN if result is ReconcileResult.SERVER_DOWN else POLL_SECONDS)


async def monitor_trial_forever(
    monitor: TrialMonitor, find_target: Callable[[], DeploymentTarget | None] = lambda: None
) -> None:
    """Polls the trial, until it is cancelled; on the servers that are known at each poll."""
    while True:
        monitor.target = find_target() or monitor.target
        await _guarded(monitor.check)
        await asyncio.sleep(POLL_SECONDS)


async def _guarded(poll: Callable[[], T]) -> T | None:
    """The result of a poll; None after an unexpected error, which must not end the gateway."""
    try:
        return await run_in_daemon_thread(poll)
    except Exception as error:  # noqa: BLE001 - the last place where a defect can be told and gone past
        log.info(describe_defect(error))
        return None


def base_model_trainer(settings: ControllerSettings, mark: Mapping[str, str]) -> TrainBaseModel:
    """Trains the base model for a reconciler, which runs in a thread, as a task of this event loop; about a minute."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.run_coroutine_threadsafe(first_model.train(settings, mark), loop).result()

"""Keeps model servers as the release record says, until a signal: what `fraud up` and `fraud keep` have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress

from operations.keeper import reconcile_loop
from operations.keeper.servers import Notifier, Servers
from operations.keeper.status import KeeperStatus
from operations.processes.console_log import log
from operations.processes.signals import stop_signals, wait_for_stop
from operations.processes.supervisor import ManagedProcess
from operations.rollout.trial_monitor import TrialMonitor
from operations.settings import ControllerSettings
from operations.torchserve.endpoints import TorchServeEndpoint

Work = Coroutine[object, object, None]
TICK_SECONDS = 1.0
"""Seconds between two checks of what other tasks or processes change."""


class Controller:
    """The programs of one run, a reconcile loop for each model server, and the trial monitor."""

    def __init__(
        self,
        settings: ControllerSettings,
        resolve_endpoints: Callable[[], Sequence[TorchServeEndpoint]],
        notifier: Notifier,
        processes: Sequence[ManagedProcess],
        mark: Mapping[str, str],
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: of the run.
            resolve_endpoints: the model servers that there are.
            notifier: is told of what a person must look at, and of servers that hang.
            processes: what it runs, tied to this process.
            mark: in the environment of what it trains with.
        """
        self.status = KeeperStatus(settings.paths.store)
        self.servers = Servers(settings, resolve_endpoints, self.status, notifier)
        self._settings = settings
        self._alert = notifier.alert
        self._processes = processes
        self._mark = mark

    async def run(
        self,
        work: Work,
        stop: Callable[[], Awaitable[None]],
        on_second_signal: Callable[[], None] = lambda: None,
        stop_timeout: float | None = None,
    ) -> None:
        """Starts all, and ends all on the first signal or failure.

        Args:
            work: what is done until then.
            stop: ends the programs while the work is cancelled.
            on_second_signal: called then, when the programs are killed at once.
            stop_timeout: seconds after which what has not ended is cancelled once more.
        """

        def kill_all() -> None:
            on_second_signal()
            for process in self._processes:
                process.terminate()

        async with stop_signals(kill_all) as signalled:
            programs = {process.start() for process in self._processes}
            working = asyncio.create_task(_unwrapped(work))
            try:
                await wait_for_stop(signalled, {working, *programs})
            finally:
                working.cancel()
                with suppress(TimeoutError):
                    ending = asyncio.gather(working, stop(), return_exceptions=True)
                    await asyncio.wait_for(ending, stop_timeout)

    async def reconcile(self, *work: Work) -> None:
        """Reconciles every server and monitors trials, beside other work, until cancelled."""
        if self._settings.base_model:
            self.servers.base = reconcile_loop.base_model_trainer(self._settings, self._mark)
        async with asyncio.TaskGroup() as group:
            for each in (self.servers.poll_endpoints(), self._monitor_trials(), *work):
                group.create_task(each)

    async def _monitor_trials(self) -> None:
        """Monitors trials on all known servers, from the first that is known."""
        while (target := self.servers.target) is None:  # noqa: ASYNC110 - a resolved address ends the wait, not an event
            await asyncio.sleep(TICK_SECONDS)
        monitor = TrialMonitor(target, log.info, self._alert)
        await reconcile_loop.monitor_trial_forever(monitor, lambda: self.servers.target)


async def _unwrapped(work: Work) -> None:
    """Does the work; raises the first error of a group of groups by itself."""
    try:
        await work
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from None

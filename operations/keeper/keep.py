"""`fraud keep`: keeps model servers that run elsewhere as the release record says, and watches over a trial.

The one standing process that reaches a management port, but for `fraud schedule` where that runs by itself; with
`--with-schedule` the keeper runs the scheduled jobs too. Where nothing was ever released it trains and releases the
first model. It ends no process that it did not start: a server that hangs is alerted of, and its platform must end it.

Only one keeper works on a model store; a second one waits until the first has ended, so that it can be replaced without
a gap. Should two work all the same, the release lock keeps them from harm.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from rich.console import Console

from operations.errors import OperationsError, in_words
from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs.crontab import Job
from operations.jobs.schedule import Schedule, lock
from operations.keeper import first_model, own_server, pages
from operations.keeper.controller import TICK_SECONDS, Controller
from operations.keeper.pages import Pages
from operations.keeper.servers import Notifier
from operations.network.alerts import Alerts
from operations.processes.console_log import log, logging_to
from operations.processes.supervisor import ManagedProcess, Program
from operations.rollout.version_loader import Deduplicator
from operations.settings import KeeperSettings
from operations.torchserve import endpoints
from operations.torchserve.endpoints import TorchServeEndpoint

SHUTDOWN_TIMEOUT = 9.0
"""Seconds; a job gets 7 to end by itself, and containers are killed after 10."""
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 2.0, 60.0
"""Seconds until the first release is tried again: what failed may be a training."""


def keep(settings: KeeperSettings, console: Console, jobs: Sequence[Job] = ()) -> None:
    """Keeps the model servers until a signal stops it.

    Args:
        settings: of this keeper.
        console: where it prints.
        jobs: which it runs at their times; without any it runs no schedule.

    Raises:
        OperationsError: it cannot start.
    """
    settings.paths.prepare()
    if settings.management_url and settings.inference_url:
        resolve = partial(endpoints.resolve_endpoints, settings.management_url, settings.inference_url)
        asyncio.run(_KeeperRun(settings, jobs, resolve).until_stopped(console))
        return
    with own_server.own_torchserve(settings) as (program, endpoint):
        asyncio.run(_KeeperRun(settings, jobs, lambda: [endpoint], program).until_stopped(console))


class _KeeperRun:
    """A controller with pages, and with what several keepers of a store must not do at a time."""

    def __init__(
        self,
        settings: KeeperSettings,
        jobs: Sequence[Job],
        resolve_endpoints: Callable[[], Sequence[TorchServeEndpoint]],
        torchserve: Program | None = None,
    ) -> None:
        self._settings = settings
        self._processes = [ManagedProcess(torchserve, {})] if torchserve else []
        self._alert = Alerts(settings.alert_url, log.info)
        notifier = Notifier(self._alert, self._processes[0].kill if self._processes else None)
        self._controller = Controller(settings, resolve_endpoints, notifier, self._processes, {})
        self._status = self._controller.status
        self._schedule = Schedule(jobs, settings.paths, log.info) if jobs else None
        self._scheduling: asyncio.Task[None] | None = None

    async def until_stopped(self, console: Console) -> None:
        """Starts all, and ends all on the first signal or failure."""
        settings = self._settings
        content = Pages(self._status, settings.paths.store, partial(outcome.metrics_text, settings.paths))
        with logging_to(console), pages.served(settings.host, settings.port, content) as url:
            log.info(f"keeping the model servers of {settings.paths.store}; pages on {url}")
            try:
                await self._controller.run(self._work(), self._stop, self._kill_jobs, SHUTDOWN_TIMEOUT)
            finally:
                log.info("stopped")

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat())
            async with self._exclusive():  # The lock goes when what it is held for has ended.
                schedule = [self._run_schedule(self._schedule)] if self._schedule else []
                await self._controller.reconcile(self._keep_releasing_first(), *schedule)

    async def _heartbeat(self) -> None:
        while True:
            self._status.record_heartbeat()
            await asyncio.sleep(TICK_SECONDS)

    @contextlib.asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        """Holds the lock of the model store; waits while another keeper holds it."""
        refusal = "another keeper works on this model store; this one waits until it has ended"
        with contextlib.ExitStack() as locks:
            while True:
                try:
                    locks.enter_context(durable.locked(self._settings.paths.store / ".keeper.lock", refusal))
                    break
                except LockHeld as error:
                    if not self._status.blocked_reason:
                        log.info(str(error))
                    self._status.blocked_reason = str(error)
                await asyncio.sleep(TICK_SECONDS)
            self._status.blocked_reason = None
            yield

    async def _run_schedule(self, schedule: Schedule) -> None:
        """Runs the jobs at their times, as soon as no other schedule works in this directory."""
        self._scheduling = asyncio.current_task()
        say = Deduplicator(log.info)
        while True:
            try:
                with lock(self._settings.paths):
                    await schedule.run_forever()
            except (OperationsError, OSError) as error:  # A full disk must not end the reconcile loops too.
                say(f"the jobs do not run yet: {in_words(error) if isinstance(error, OSError) else error}")
            await asyncio.sleep(TICK_SECONDS)

    async def _keep_releasing_first(self) -> None:
        """Releases a first version; alerts once of what prevents it, and tries again."""
        alert, seconds = Deduplicator(self._alert), FIRST_RETRY_SECONDS
        while True:
            try:
                await first_model.ensure_released(self._settings, lambda: self._controller.servers.target, {})
            except OperationsError as error:
                alert(str(error))
                self._status.blocked_reason = None if self._status.record else str(error)
            else:
                self._status.blocked_reason = None
                return
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, MAX_RETRY_SECONDS)

    async def _stop(self) -> None:
        """Ends all side by side; a second cancellation of the schedule, which the timeout brings, kills its jobs."""
        ending = [process.stop() for process in self._processes]
        await asyncio.gather(*ending, *([self._scheduling] if self._scheduling else []), return_exceptions=True)

    def _kill_jobs(self) -> None:
        if self._scheduling:
            self._scheduling.cancel()

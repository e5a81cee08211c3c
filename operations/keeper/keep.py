"""`fraud keep`: keeps model servers that run elsewhere as the release record says, and watches over a trial.

The one standing process that reaches a management port, but for `fraud schedule` where that runs by itself; with
`--with-schedule` the keeper runs the scheduled jobs too. Where nothing was ever released it trains and releases the
first model. It ends no process that it did not start: a server that hangs is alerted of, and its platform must end it.

Only one keeper works on a model store; a second one waits until the first has ended, so that it can be replaced without
a gap. Should two work all the same, the release lock keeps them from harm.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial

from rich.console import Console

from operations.errors import OperationsError
from operations.files import durable
from operations.files.durable import LockHeld
from operations.jobs import outcome
from operations.jobs.crontab import Job
from operations.jobs.schedule import Schedule, lock
from operations.keeper import first_model, own_server, pages, reconcile_loop
from operations.keeper.pages import Pages
from operations.keeper.servers import Notifier, Servers
from operations.keeper.status import KeeperStatus
from operations.network.alerts import Alerts
from operations.processes.console_log import log, logging_to
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.processes.signals import stop_signals, wait_for_stop
from operations.processes.supervisor import ManagedProcess, Program
from operations.rollout.trial_monitor import TrialMonitor
from operations.rollout.version_loader import Deduplicator
from operations.settings import KeeperSettings
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve import endpoints
from operations.torchserve.endpoints import TorchServeEndpoint

EndpointResolver = Callable[[], Sequence[TorchServeEndpoint]]
SHUTDOWN_TIMEOUT = 9.0
"""Seconds; a job gets 7 to end by itself, and containers are killed after 10."""
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 2.0, 60.0
"""Seconds until the first release is tried again: what failed may be a training."""
TICK_SECONDS = 1.0
"""Seconds between two checks of what other tasks or processes change."""


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
        asyncio.run(_KeeperRun(settings, console, jobs, resolve).until_stopped())
        return
    with own_server.own_torchserve(settings) as (program, endpoint):
        asyncio.run(_KeeperRun(settings, console, jobs, lambda: [endpoint], program).until_stopped())


class _KeeperRun:
    """One run of the keeper."""

    def __init__(
        self,
        settings: KeeperSettings,
        console: Console,
        jobs: Sequence[Job],
        resolve_endpoints: EndpointResolver,
        torchserve: Program | None = None,
    ) -> None:
        self._settings = settings
        self._console = console
        self._alert = Alerts(settings.alert_url, log.info)
        self._torchserve = ManagedProcess(torchserve, {}) if torchserve else None
        self._status = KeeperStatus(settings.paths.store)
        notifier = Notifier(self._alert, self._torchserve.kill if self._torchserve else None)
        self._servers = Servers(settings, resolve_endpoints, self._status, notifier)
        self._schedule = Schedule(jobs, settings.paths, log.info) if jobs else None
        self._scheduling: asyncio.Task[None] | None = None

    async def until_stopped(self) -> None:
        """Starts all, and ends all on the first signal or failure."""
        with logging_to(self._console):
            async with stop_signals(self._kill_all) as stop:
                with self._pages() as url:
                    log.info(f"keeping the model servers of {self._settings.paths.store}; pages on {url}")
                    await self._work_until(stop)

    async def _work_until(self, stop: asyncio.Event) -> None:
        programs = {self._torchserve.start()} if self._torchserve else set()
        work = asyncio.create_task(self._work())
        try:
            await wait_for_stop(stop, {work, *programs})
        finally:
            await self._end(work)
            log.info("stopped")

    async def _end(self, work: asyncio.Task[None]) -> None:
        """Ends all side by side; the timeout cancels the schedule a second time, which kills its jobs."""
        work.cancel()  # And with it the schedule, once.
        ending = [
            work,
            *([self._scheduling] if self._scheduling else []),
            *([self._torchserve.stop()] if self._torchserve else []),
        ]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ending, return_exceptions=True), SHUTDOWN_TIMEOUT)

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heartbeat())
                async with self._exclusive(), asyncio.TaskGroup() as alone:  # The lock goes when these have ended.
                    self._servers.base = self._base()
                    alone.create_task(self._servers.poll_endpoints())
                    alone.create_task(self._monitor_trials())
                    alone.create_task(self._keep_releasing_first())
                    if self._schedule:
                        self._scheduling = alone.create_task(self._run_schedule(self._schedule))
        except ExceptionGroup as group_error:
            raise _innermost(group_error) from None

    async def _heartbeat(self) -> None:
        while True:
            self._status.record_heartbeat()
            await asyncio.sleep(TICK_SECONDS)

    @contextlib.asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        """Holds the lock of the model store; waits while another keeper holds it."""
        with contextlib.ExitStack() as locks:
            while not self._try_lock(locks):  # noqa: ASYNC110 - no event tells of another process
                await asyncio.sleep(TICK_SECONDS)
            yield

    def _try_lock(self, locks: contextlib.ExitStack) -> bool:
        refusal = "another keeper works on this model store; this one waits until it has ended"
        try:
            locks.enter_context(durable.locked(self._settings.paths.store / ".keeper.lock", refusal))
        except LockHeld as error:
            if not self._status.blocked_reason:
                log.info(str(error))
            self._status.blocked_reason = str(error)
            return False
        self._status.blocked_reason = None
        return True

    async def _run_schedule(self, schedule: Schedule) -> None:
        """Runs the jobs at their times, as soon as no other schedule works in this directory."""
        say = Deduplicator(log.info)
        while True:
            try:
                with lock(self._settings.paths):
                    await schedule.run_forever()
            except OperationsError as error:
                say(f"the jobs do not run yet: {error}")
            await asyncio.sleep(TICK_SECONDS)

    async def _monitor_trials(self) -> None:
        """Monitors trials on all known servers, from the first that is known."""
        while (target := self._servers.target) is None:  # noqa: ASYNC110 - a look-up ends the wait, not an event
            await asyncio.sleep(TICK_SECONDS)
        monitor = TrialMonitor(target, log.info, self._alert)
        async with asyncio.TaskGroup() as group:
            group.create_task(reconcile_loop.monitor_trial_forever(monitor))
            while True:
                monitor.target = self._servers.target or monitor.target
                await asyncio.sleep(TICK_SECONDS)

    async def _keep_releasing_first(self) -> None:
        """Releases a first version; alerts once of what prevents it, and tries again."""
        alert, seconds = Deduplicator(self._alert), FIRST_RETRY_SECONDS
        while True:
            try:
                await self._release_first()
            except OperationsError as error:
                alert(str(error))
                self._status.blocked_reason = None if self._status.record else str(error)
            else:
                self._status.blocked_reason = None
                return
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, MAX_RETRY_SECONDS)

    async def _release_first(self) -> None:
        """Trains the first version, or takes what MODEL_PATH names; loads the history of the default model.

        Raises:
            OperationsError: there is none, or nobody can know which.
        """
        settings = self._settings
        version, is_live = await first_model.choose_version(settings, Registry(settings.paths.store), {})
        async with first_model.loading_history(settings, settings.redis, version, {}):
            while not is_live and not self._was_released(version):
                target = self._servers.target
                if target is not None:
                    answering = await run_in_daemon_thread(partial(first_model.any_server_answers, target))
                    is_live = answering and await first_model.make_live(target, version)
                await asyncio.sleep(first_model.POLL_SECONDS)

    def _was_released(self, version: int) -> bool:
        """Whether what was to be released is, or a person has meanwhile released something else."""
        record, named = read_record(self._settings.paths.store), self._settings.version
        return record is not None and (named is None or record.version == version)

    def _base(self) -> reconcile_loop.BaseModelTrainer | None:
        """Trains the base model, where one may serve."""
        settings = self._settings
        trainer = reconcile_loop.BaseModelTrainer(settings, Registry(settings.paths.store), {})
        return trainer if settings.base_model else None

    @contextlib.contextmanager
    def _pages(self) -> Iterator[str]:
        settings = self._settings
        pages_content = Pages(self._status, settings.paths.store, lambda: outcome.metrics_text(settings.paths))
        with pages.served(settings.host, settings.port, pages_content) as url:
            yield url

    def _kill_all(self) -> None:
        """Kills at once what has been told to end."""
        if self._scheduling:
            self._scheduling.cancel()
        if self._torchserve:
            self._torchserve.terminate()


def _innermost(error: Exception) -> Exception:
    """The first error of a group of groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

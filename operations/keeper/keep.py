"""`fraud keep`: keeps model servers that run elsewhere as the release record says, and watches over a trial.

The one standing process that reaches a management port, but for `fraud schedule` where that runs by itself; with
`--with-schedule` the keeper runs the scheduled jobs too. Where nothing was ever released it trains and releases the
first model. It ends no process that it did not start: a server that hangs is told of, and whoever runs it ends it.

Only one keeper works on a model store; a second one waits until the first has ended, so that it can be replaced without
a gap. Should two work all the same, the release lock keeps them from harm.
"""

import asyncio
import contextlib
import time
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
from operations.keeper.servers import Servers, Telling
from operations.keeper.status import KeeperStatus
from operations.network.alerts import Alerts
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.processes.signals import stopping, until_told
from operations.processes.supervisor import ManagedProcess, Program
from operations.rollout.trial_monitor import TrialMonitor
from operations.rollout.version_loader import Deduplicator
from operations.settings import KeeperSettings
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve import endpoints
from operations.torchserve.endpoints import TorchServeEndpoint

LookUp = Callable[[], Sequence[TorchServeEndpoint]]
LONGEST_END = 9.0
"""Seconds; a job gets 7 to end by itself, and containers are killed after 10."""
SOONEST_AGAIN, LATEST_AGAIN = 2.0, 60.0
"""Seconds until what kept the first version from being released is looked at again: it may be a training that fails."""
BEAT = 1.0
"""Seconds between two turns of the loops that only look at this process."""


def keep(settings: KeeperSettings, console: Console, jobs: Sequence[Job] = ()) -> None:
    """Keeps the model servers until it is told to stop.

    Args:
        settings: of this keeper.
        console: where it prints.
        jobs: which it runs at their times; without any it runs no schedule.

    Raises:
        OperationsError: it cannot start.
    """
    settings.paths.prepare()
    if settings.management_url and settings.inference_url:
        look_up = partial(endpoints.resolve_endpoints, settings.management_url, settings.inference_url)
        asyncio.run(_Keeper(settings, console, jobs, look_up).until_stopped())
        return
    with own_server.planned(settings) as (program, member):
        asyncio.run(_Keeper(settings, console, jobs, lambda: [member], program).until_stopped())


class _Keeper:
    """One run of the keeper."""

    def __init__(
        self,
        settings: KeeperSettings,
        console: Console,
        jobs: Sequence[Job],
        look_up: LookUp,
        own: Program | None = None,
    ) -> None:
        self._settings = settings
        self._console = console
        self._alert = Alerts(settings.alert_url, self._say)
        self._own = ManagedProcess(own, {}, self._say) if own else None
        self._observed = KeeperStatus(settings.paths.store)
        tell = Telling(self._say, self._alert, self._own.kill if self._own else None)
        self._servers = Servers(settings, look_up, self._observed, tell)
        self._schedule = Schedule(jobs, settings.paths, self._say) if jobs else None
        self._scheduling: asyncio.Task[None] | None = None

    async def until_stopped(self) -> None:
        """Starts all, and ends all on the first signal or failure."""
        self._loop = asyncio.get_running_loop()
        async with stopping(self._hurry) as told:
            with self._pages() as url:
                self._say(f"keeping the model servers of {self._settings.paths.store}; pages on {url}")
                await self._work_until(told)

    async def _work_until(self, told: asyncio.Event) -> None:
        programs = {self._own.start()} if self._own else set()
        work = asyncio.create_task(self._work())
        try:
            await until_told(told, {work, *programs})
        finally:
            await self._end(work)
            self._say("stopped")

    async def _end(self, work: asyncio.Task[None]) -> None:
        """Ends all side by side; the timeout cancels the schedule a second time, which kills its jobs."""
        work.cancel()  # And with it the schedule, once.
        ending = [work, *([self._scheduling] if self._scheduling else []), *([self._own.stop()] if self._own else [])]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ending, return_exceptions=True), LONGEST_END)

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat())
                async with self._alone(), asyncio.TaskGroup() as alone:  # The lock goes when these have ended.
                    self._servers.base = self._base()
                    alone.create_task(self._servers.follow())
                    alone.create_task(self._watch())
                    alone.create_task(self._first())
                    if self._schedule:
                        self._scheduling = alone.create_task(self._run_schedule(self._schedule))
        except ExceptionGroup as group_error:
            raise _innermost(group_error) from None

    async def _beat(self) -> None:
        while True:
            self._observed.beat()
            await asyncio.sleep(BEAT)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Waits for its turn with the store."""
        with contextlib.ExitStack() as held:
            while not self._is_alone(held):  # noqa: ASYNC110 - no event tells of another process
                await asyncio.sleep(BEAT)
            yield

    def _is_alone(self, held: contextlib.ExitStack) -> bool:
        refusal = "another keeper works on this model store; this one waits until it has ended"
        try:
            held.enter_context(durable.locked(self._settings.paths.store / ".keeper.lock", refusal))
        except LockHeld as busy:
            if not self._observed.waiting:
                self._say(str(busy))
            self._observed.waiting = str(busy)
            return False
        self._observed.waiting = None
        return True

    async def _run_schedule(self, schedule: Schedule) -> None:
        """Runs the jobs at their times, as soon as no other schedule works in this directory."""
        tell = Deduplicator(self._say)
        while True:
            try:
                with lock(self._settings.paths):
                    await schedule.keep()
            except OperationsError as error:
                tell(f"the jobs do not run yet: {error}")
            await asyncio.sleep(BEAT)

    async def _watch(self) -> None:
        """Watches trials as soon as there is a server, on all that are known."""
        while (target := self._servers.target) is None:  # noqa: ASYNC110 - a look-up ends the wait, not an event
            await asyncio.sleep(BEAT)
        watch = TrialMonitor(target, self._say, self._alert)
        async with asyncio.TaskGroup() as group:
            group.create_task(reconcile_loop.watch(watch, self._say))
            while True:
                watch.target = self._servers.target or watch.target
                await asyncio.sleep(BEAT)

    async def _first(self) -> None:
        """Sees to it that a version is released; what stands in its way is told once, and looked at again."""
        told, seconds = Deduplicator(self._alert), SOONEST_AGAIN
        while True:
            try:
                await self._release_first()
            except OperationsError as error:
                told(str(error))
                self._observed.waiting = None if self._observed.record else str(error)
            else:
                self._observed.waiting = None
                return
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, LATEST_AGAIN)

    async def _release_first(self) -> None:
        """Trains the first version, or takes what MODEL_PATH names; loads the past of the default model.

        Raises:
            OperationsError: there is none, or nobody can know which.
        """
        settings = self._settings
        version, is_live = await first_model.wanted(settings, Registry(settings.paths.store), {}, self._say)
        async with first_model.past(settings, settings.redis, version, {}, self._say):
            while not is_live and not self._was_released(version):
                target = self._servers.target
                if target is not None:
                    answering = await run_in_daemon_thread(partial(first_model.answering, target))
                    is_live = answering and await first_model.make_live(target, version, self._say)
                await asyncio.sleep(first_model.ASK_EVERY)

    def _was_released(self, version: int) -> bool:
        """Whether what was to be released is, or a person has meanwhile released something else."""
        record, named = read_record(self._settings.paths.store), self._settings.version
        return record is not None and (named is None or record.version == version)

    def _base(self) -> reconcile_loop.BaseModelTrainer | None:
        """Trains the base model, where one may serve."""
        settings = self._settings
        return (
            reconcile_loop.BaseModelTrainer(settings, Registry(settings.paths.store), {})
            if settings.base_model
            else None
        )

    @contextlib.contextmanager
    def _pages(self) -> Iterator[str]:
        settings = self._settings
        found = Pages(self._observed, settings.paths.store, lambda: outcome.exposition(settings.paths))
        with pages.served(settings.host, settings.port, found, self._say) as url:
            yield url

    def _hurry(self) -> None:
        """Kills what has been told to end."""
        if self._scheduling:
            self._scheduling.cancel()
        if self._own:
            self._own.hurry()

    def _say(self, text: str) -> None:
        """Prints, on the loop: a thread that this process leaves behind must not hold the output."""
        with contextlib.suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(self._show, f"{time.strftime('%H:%M:%S')} {text}")

    def _show(self, text: str) -> None:
        """The terminal may be gone, and that must stop nothing (rich makes a broken pipe a SystemExit)."""
        with contextlib.suppress(OSError, ValueError, SystemExit):
            self._console.print(text, soft_wrap=True, highlight=False, markup=False)


def _innermost(error: Exception) -> Exception:
    """The first error of a group of groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error

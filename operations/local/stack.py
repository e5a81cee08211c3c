"""`fraud up`: the whole system on one machine, without Docker, until Ctrl-C.

Everything starts at once: a model is trained, or the recorded one loaded, while the servers come up. Nothing slow is
imported here (torch takes seconds): training and the sample run in processes of their own. Only one stack runs in a
directory; what a killed one left behind is ended first. Stopping goes against the flow: the gateway, then the rest.
"""

import asyncio
import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from operations.errors import OperationsError
from operations.files import durable
from operations.history.rekey import rekey
from operations.keeper import first_model, reconcile_loop
from operations.keeper.endpoints_file import write_stack_endpoints
from operations.local import summary
from operations.local.process_registry import ProcessRegistry
from operations.local.programs import StackPlan, plan, refuse_used_port
from operations.network.alerts import Alerts
from operations.processes.console_log import log, logging_to, print_line
from operations.processes.signals import stop_signals, wait_for_stop
from operations.processes.supervisor import ManagedProcess, stop_all
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.reconciler import Reconciler
from operations.rollout.trial_monitor import TrialMonitor
from operations.settings import StackSettings, history_key_of
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve.client import TorchServeClient

READY_TIMEOUT = 60.0
"""Seconds that the gateway may take to be ready after a version is released, before it is said that it is late."""


def up(settings: StackSettings, console: Console) -> None:
    """Runs the stack until a signal stops it.

    Raises:
        OperationsError: it cannot start.
    """
    paths = settings.paths
    paths.prepare()
    paths.tighten_permissions()
    refusal = f"a stack runs in {paths.root} already ({paths.stack} says where); stop it first"
    with durable.locked(paths.run / "lock", refusal):
        registry = ProcessRegistry(paths.run / "processes.json")
        if ended := registry.kill_orphans():
            console.print(f"Ended {ended} processes that an earlier run had left behind.")
        refuse_used_port(settings.host, settings.port)
        with _scratch(registry) as scratch:
            asyncio.run(_StackRun(settings, plan(settings, scratch), registry, console).until_stopped())


@contextlib.contextmanager
def _scratch(registry: ProcessRegistry) -> Iterator[Path]:
    """A private directory with a short path (TorchServe keeps sockets in it) that goes with the stack."""
    directory = Path(tempfile.mkdtemp(prefix="fraud-"))
    registry.register(directory)
    try:
        yield directory / "ts"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _StackRun:
    """One run of the stack."""

    def __init__(self, settings: StackSettings, stack: StackPlan, registry: ProcessRegistry, console: Console) -> None:
        self._settings = settings
        self._stack = stack
        self._console = console
        self._alert = Alerts(settings.alert_url, log.info)
        self._mark = mark = registry.mark
        self._gateway = ManagedProcess(stack.gateway, mark)
        self._model_server = ManagedProcess(stack.model_server, mark)
        self._valkey = [ManagedProcess(stack.valkey, mark)] if stack.valkey else []
        server = TorchServeClient(stack.management_url, stack.inference_url)
        paths = settings.paths
        self._target = DeploymentTarget(
            Registry(paths.store), paths.verified, server, settings.workers, stack.redis_url, drain=settings.drain
        )

    async def until_stopped(self) -> None:
        """Starts all, and ends all on the first signal or failure."""
        with logging_to(self._console):
            await self._run_until_stopped()

    async def _run_until_stopped(self) -> None:
        async with stop_signals(self._kill_all) as stop, self._run_programs() as programs:
            work = asyncio.create_task(self._work())
            try:
                await wait_for_stop(stop, {work, *programs})
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _run_programs(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        try:
            self._write_endpoints()
            yield [process.start() for process in (self._model_server, *self._valkey, self._gateway)]
        finally:
            await self._stop()

    async def _stop(self) -> None:
        began = time.monotonic()
        print_line(self._console, "\nStopping (Ctrl-C again: at once) ...")
        await stop_all([[self._gateway], [self._model_server, *self._valkey]])
        self._settings.paths.stack.unlink(missing_ok=True)
        print_line(self._console, f"Everything is stopped ({time.monotonic() - began:.1f} s).")

    def _kill_all(self) -> None:
        for process in (self._gateway, self._model_server, *self._valkey):
            process.terminate()

    def _write_endpoints(self) -> None:
        stack = self._stack
        write_stack_endpoints(
            self._settings,
            gateway_url=stack.gateway_url,
            inference_url=stack.inference_url,
            management_url=stack.management_url,
            redis_url=stack.redis_url,
        )

    async def _work(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(reconcile_loop.reconcile_forever(self._reconciler(), self._kill_hung_server))
                group.create_task(
                    reconcile_loop.monitor_trial_forever(TrialMonitor(self._target, log.info, self._alert))
                )
                group.create_task(self._start_serving())
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None

    def _kill_hung_server(self) -> None:
        log.info(f"the model server has not answered for {reconcile_loop.HANG_SECONDS:.0f} s and is killed")
        self._model_server.kill()

    async def _start_serving(self) -> None:
        began = time.monotonic()
        if self._valkey:
            await self._rekey_history()
        await self._announce(await self._ensure_released(), began)

    async def _rekey_history(self) -> None:
        """Its own Valkey may hold what a release without a key wrote: nobody else uses it."""
        try:
            key = history_key_of(self._stack.history_key)
            rekeyed = await first_model.retry_until_redis_answers(
                partial(rekey, self._stack.redis_url, key, lambda _: None)
            )
        except OperationsError as error:
            log.info(f"scores are without history: {error}")
            return
        if rekeyed.moved:
            log.info(f"what Redis remembers got its key: {rekeyed.moved:,} digests ({rekeyed.seconds:.1f} s)")

    async def _announce(self, version: int, began: float) -> None:
        """Says that all is there, once it is, however slow the machine; the past too, or that it was not loaded."""
        await self._wait_until_ready()
        seconds = time.monotonic() - began
        await self._write_sample()
        ready_summary = await asyncio.to_thread(
            summary.collect_summary, self._settings, self._stack, self._live_version() or version
        )
        with contextlib.suppress(OSError, ValueError, SystemExit):
            summary.print_summary(self._console, ready_summary, seconds)

    def _live_version(self) -> int | None:
        """The live version now: another may have taken over from the one that was to be."""
        with contextlib.suppress(OperationsError):
            record = read_record(self._target.store)
            return record.version if record else None
        return None

    async def _ensure_released(self) -> int:
        try:
            return await first_model.ensure_released(self._settings, self._target, self._mark, self._stack.redis)
        except asyncio.CancelledError:
            if not self._target.registry.entries():
                log.info("no model was process: the training was not done; the next `fraud up` begins it anew")
            raise

    async def _write_sample(self) -> None:
        """Writes the file that the printed curl line uploads; the stack runs on without it."""
        sample = self._settings.paths.sample
        if not sample.exists():
            try:
                await first_model.run_fraud_command(self._settings, self._mark, "sample", "-o", str(sample))
            except OperationsError as error:
                log.info(str(error))

    async def _wait_until_ready(self) -> None:
        """Waits for the gateway; says once that it is late."""
        late = time.monotonic() + READY_TIMEOUT
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            while not await self._is_ready(client):
                if time.monotonic() > late:
                    log.info(f"the gateway is not ready after {READY_TIMEOUT:.0f} s; see {self._settings.paths.logs}")
                    late = math.inf
                await asyncio.sleep(0.1)

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            async with client.stream("GET", f"{self._stack.gateway_url}/readyz") as answer:
                return answer.is_success
        return False

    def _reconciler(self) -> Reconciler:
        may_train = self._settings.base_model
        base = reconcile_loop.BaseModelTrainer(self._settings, self._target.registry, self._mark) if may_train else None
        return Reconciler(self._target, log.info, self._alert, base)

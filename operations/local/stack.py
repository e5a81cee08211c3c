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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from operations.errors import OperationsError
from operations.files import durable
from operations.history.rekey import rekey
from operations.keeper import first_model, reconcile_loop
from operations.keeper.controller import Controller
from operations.keeper.endpoints_file import stack_endpoints_file
from operations.keeper.servers import Notifier
from operations.local import summary
from operations.local.process_registry import ProcessRegistry
from operations.local.programs import StackPlan, plan, refuse_used_port
from operations.network.alerts import Alerts
from operations.processes.console_log import log, logging_to, print_line
from operations.processes.supervisor import ManagedProcess
from operations.settings import StackSettings, history_key_of
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve.endpoints import TorchServeEndpoint

URLS = ("gateway_url", "inference_url", "management_url", "redis_url")
"""The addresses by which commands find the stack."""
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
            stack = plan(settings, scratch)
            urls = {name: getattr(stack, name) for name in URLS}
            with stack_endpoints_file(settings, **urls):
                asyncio.run(_StackRun(settings, stack, registry.mark, console).until_stopped())


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

    def __init__(self, settings: StackSettings, stack: StackPlan, mark: Mapping[str, str], console: Console) -> None:
        self._settings = settings
        self._stack = stack
        self._console = console
        self._own = replace(settings, redis_url=stack.redis_url, history_key=stack.history_key)
        self._mark = mark
        self._gateway = ManagedProcess(stack.gateway, mark)
        self._model_server = ManagedProcess(stack.model_server, mark)
        self._backends = [self._model_server, *([ManagedProcess(stack.valkey, mark)] if stack.valkey else [])]
        endpoint = TorchServeEndpoint(stack.management_url, stack.inference_url)
        self._controller = Controller(
            self._own,
            lambda: [endpoint],
            Notifier(Alerts(settings.alert_url, log.info), self._kill_hung_server, is_hang_alerted=False),
            (*self._backends, self._gateway),
            mark,
        )

    async def until_stopped(self) -> None:
        """Starts all, and ends all on the first signal or failure."""
        with logging_to(self._console):
            work = self._controller.reconcile(self._start_serving())
            await self._controller.run(work, self._stop)

    async def _stop(self) -> None:
        began = time.monotonic()
        print_line(self._console, "\nStopping (Ctrl-C again: at once) ...")
        await self._gateway.stop()
        await asyncio.gather(*(process.stop() for process in self._backends))
        print_line(self._console, f"Everything is stopped ({time.monotonic() - began:.1f} s).")

    def _kill_hung_server(self) -> None:
        log.info(f"the model server has not answered for {reconcile_loop.HANG_SECONDS:.0f} s and is killed")
        self._model_server.kill()

    async def _start_serving(self) -> None:
        began = time.monotonic()
        if self._stack.valkey:
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
        with contextlib.suppress(OperationsError):  # Another may have taken over from the one that was to be live.
            record = read_record(self._settings.paths.store)
            version = record.version if record else version
        ready_summary = await asyncio.to_thread(summary.collect_summary, self._settings, self._stack, version)
        with contextlib.suppress(OSError, ValueError, SystemExit):
            summary.print_summary(self._console, ready_summary, seconds)

    async def _ensure_released(self) -> int:
        try:
            return await first_model.ensure_released(self._own, lambda: self._controller.servers.target, self._mark)
        except asyncio.CancelledError:
            if not Registry(self._settings.paths.store).entries():
                log.info("no model was kept: the training was not done; the next `fraud up` begins it anew")
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
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    async with client.stream("GET", f"{self._stack.gateway_url}/readyz") as answer:
                        if answer.is_success:
                            return
                if time.monotonic() > late:
                    log.info(f"the gateway is not ready after {READY_TIMEOUT:.0f} s; see {self._settings.paths.logs}")
                    late = math.inf
                await asyncio.sleep(0.1)

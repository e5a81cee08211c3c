"""The model servers of a keeper: one reconcile loop for each, for as long as its address resolves."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from operations.keeper import reconcile_loop
from operations.keeper.status import KeeperStatus
from operations.network.addresses import UnresolvedName
from operations.processes.console_log import log
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.reconciler import Reconciler
from operations.rollout.recovery import TrainBaseModel
from operations.rollout.version_loader import Deduplicator, ReconcileResult
from operations.settings import ControllerSettings
from operations.store.registry import Registry
from operations.torchserve.client import TorchServeClient
from operations.torchserve.endpoints import TorchServeEndpoint

RESOLVE_SECONDS = 3.0
CLOSE_DELAY = 300.0
"""Seconds until the connection to a server that is gone is closed: a poll or a release may still use it."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """Who is told: `alert` prints and posts an alert, `on_hang` ends a server that hangs.

    With `is_hang_alerted`, an alert says first, once, which server hangs.
    """

    alert: Callable[[str], None]
    on_hang: Callable[[], None] | None = None
    is_hang_alerted: bool = True


@dataclass(frozen=True, slots=True)
class _ServerTask:
    server: TorchServeClient
    reconciler: Reconciler
    task: asyncio.Task[None]


class Servers:
    """The servers whose addresses resolve, each with its reconcile loop."""

    def __init__(
        self,
        settings: ControllerSettings,
        resolve_endpoints: Callable[[], Sequence[TorchServeEndpoint]],
        status: KeeperStatus,
        notifier: Notifier,
    ) -> None:
        """Starts nothing yet; `base` may be set before :meth:`poll_endpoints`.

        `base` trains the base model, if one may serve.
        """
        self.base: TrainBaseModel | None = None
        self._settings = settings
        self._resolve_endpoints = resolve_endpoints
        self._status = status
        self._notifier = notifier
        self._log_new = Deduplicator(log.info)
        self._tasks: dict[TorchServeEndpoint, _ServerTask] = {}
        self._closing = set[TorchServeClient]()

    @property
    def target(self) -> DeploymentTarget | None:
        """Where to release to: all servers that are known; None without any."""
        if not self._tasks:
            return None
        first, *others = (each.server for each in self._tasks.values())
        return replace(self._target(first), others=tuple(others))

    async def poll_endpoints(self) -> None:
        """Resolves the addresses every RESOLVE_SECONDS; when cancelled, ends all reconcile loops."""
        try:
            while True:
                try:
                    self._update_tasks(await run_in_daemon_thread(self._resolve_endpoints))
                except UnresolvedName as error:  # The known servers stay.
                    self._status.resolve_error = str(error)
                    self._log_new(str(error))
                else:
                    self._log_new.reset()
                await asyncio.sleep(RESOLVE_SECONDS)
        finally:
            self._update_tasks([])
            for server in self._closing.copy():
                self._close(server)

    def _update_tasks(self, endpoints: Sequence[TorchServeEndpoint]) -> None:
        for endpoint in self._tasks.keys() - set(endpoints):
            self._stop_reconciling(endpoint)
        for endpoint in endpoints:
            if endpoint not in self._tasks:
                self._start_reconciling(endpoint)
        for each in self._tasks.values():
            each.reconciler.is_only_server = len(self._tasks) == 1

    def _start_reconciling(self, endpoint: TorchServeEndpoint) -> None:
        server = endpoint.server()
        reconciler = Reconciler(self._target(server), log.info, self._notifier.alert, self.base)
        self._status.add_server(server.address)
        hangs = _HangDetector(server.address, self._notifier, self._status)
        loop = reconcile_loop.reconcile_forever(reconciler, hangs.on_hang, hangs.on_result)
        self._tasks[endpoint] = _ServerTask(server, reconciler, asyncio.create_task(loop))

    def _stop_reconciling(self, endpoint: TorchServeEndpoint) -> None:
        ended = self._tasks.pop(endpoint)
        ended.task.cancel()
        self._status.remove_server(ended.server.address)
        self._closing.add(ended.server)
        asyncio.get_running_loop().call_later(CLOSE_DELAY, self._close, ended.server)

    def _close(self, server: TorchServeClient) -> None:
        self._closing.discard(server)
        server.close()

    def _target(self, server: TorchServeClient) -> DeploymentTarget:
        settings = self._settings
        return DeploymentTarget(
            registry=Registry(settings.paths.store),
            verified=settings.paths.verified,
            server=server,
            workers=settings.workers,
            redis_url=settings.redis_url,
            drain=settings.drain,
            thresholds=settings.thresholds,
        )


class _HangDetector:
    """Alerts once of a server that has not answered for long, and ends it where this process started it."""

    def __init__(self, address: str, notifier: Notifier, status: KeeperStatus) -> None:
        self._address = address
        self._notifier = notifier
        self._status = status
        self._alert_new = Deduplicator(notifier.alert)

    def on_result(self, result: ReconcileResult) -> None:
        self._status.update_server(self._address, result)
        if result is not ReconcileResult.SERVER_DOWN:
            self._alert_new.reset()

    def on_hang(self) -> None:
        if self._notifier.is_hang_alerted:
            self._alert_new(f"TorchServe at {self._address} has not answered for {reconcile_loop.HANG_SECONDS:.0f} s")
        if self._notifier.on_hang:
            self._notifier.on_hang()

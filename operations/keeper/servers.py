"""The model servers that a keeper keeps: one round for each, for as long as its address exists."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from operations.keeper import reconcile_loop
from operations.keeper.status import KeeperStatus
from operations.network.addresses import UnresolvedName
from operations.processes.daemon_thread import run_in_daemon_thread
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.reconciler import Reconciler
from operations.rollout.recovery import TrainBaseModel
from operations.rollout.version_loader import Deduplicator, ReconcileResult
from operations.settings import ControllerSettings
from operations.store.registry import Registry
from operations.torchserve.client import TorchServeClient
from operations.torchserve.endpoints import TorchServeEndpoint

RESOLVE_EVERY = 3.0
LINGER = 300.0
"""Seconds that the connection to a server stays which has gone: a look or a release may be at work over it."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom to tell: `say` prints, `alert` tells whoever must look, and `frozen` can end a server that hangs."""

    say: Callable[[str], None]
    alert: Callable[[str], None]
    frozen: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class _Round:
    server: TorchServeClient
    reconciler: Reconciler
    task: asyncio.Task[None]


class Servers:
    """The servers that a look-up names, each with its rounds."""

    def __init__(
        self,
        settings: ControllerSettings,
        look_up: Callable[[], Sequence[TorchServeEndpoint]],
        observed: KeeperStatus,
        tell: Telling,
    ) -> None:
        """Takes how to find the servers, and who hears what; `base` may be set before they are followed.

        `base` trains the base model, if one may serve.
        """
        self.base: TrainBaseModel | None = None
        self._settings = settings
        self._look_up = look_up
        self._observed = observed
        self._tell = tell
        self._once = Deduplicator(tell.say)
        self._rounds: dict[TorchServeEndpoint, _Round] = {}
        self._gone = set[TorchServeClient]()

    @property
    def target(self) -> DeploymentTarget | None:
        """Where to release to: all servers that are known; None without any."""
        if not self._rounds:
            return None
        first, *others = (each.server for each in self._rounds.values())
        return replace(self._target(first), others=tuple(others))

    async def follow(self) -> None:
        """Looks the servers up again and again; when cancelled, ends their rounds."""
        try:
            while True:
                with suppress(UnresolvedName):
                    self._take(await self._found())
                await asyncio.sleep(RESOLVE_EVERY)
        finally:
            self._take([])
            for server in self._gone.copy():
                self._close(server)

    async def _found(self) -> Sequence[TorchServeEndpoint]:
        """Those that are there now.

        Raises:
            UnresolvedName: nobody knows, so that those stay that were there.
        """
        try:
            found = await run_in_daemon_thread(self._look_up)
        except UnresolvedName as error:
            self._observed.unresolved = str(error)
            self._once(str(error))
            raise
        self._once.reset()
        return found

    def _take(self, members: Sequence[TorchServeEndpoint]) -> None:
        for member in self._rounds.keys() - set(members):
            self._end(member)
        for member in members:
            if member not in self._rounds:
                self._begin(member)
        for each in self._rounds.values():
            each.reconciler.is_only_server = len(self._rounds) == 1

    def _begin(self, member: TorchServeEndpoint) -> None:
        server = member.server()
        reconciler = Reconciler(self._target(server), self._tell.say, self._tell.alert, self.base)
        self._observed.begin(server.address)
        hangs = _Hangs(server.address, self._tell, self._observed)
        rounds_of_it = reconcile_loop.reconcile(reconciler, hangs.frozen, self._tell.say, hangs.see)
        self._rounds[member] = _Round(server, reconciler, asyncio.create_task(rounds_of_it))

    def _end(self, member: TorchServeEndpoint) -> None:
        ended = self._rounds.pop(member)
        ended.task.cancel()
        self._observed.forget(ended.server.address)
        self._gone.add(ended.server)
        asyncio.get_running_loop().call_later(LINGER, self._close, ended.server)

    def _close(self, server: TorchServeClient) -> None:
        self._gone.discard(server)
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


class _Hangs:
    """Tells once of a server that has not answered for long; whoever runs it must end it, or this does where it may."""

    def __init__(self, address: str, tell: Telling, observed: KeeperStatus) -> None:
        self._address = address
        self._tell = tell
        self._observed = observed
        self._once = Deduplicator(tell.alert)

    def see(self, found: ReconcileResult) -> None:
        self._observed.see(self._address, found)
        if found is not ReconcileResult.SERVER_DOWN:
            self._once.reset()

    def frozen(self) -> None:
        self._once(f"TorchServe at {self._address} has not answered for {reconcile_loop.FROZEN:.0f} s")
        if self._tell.frozen:
            self._tell.frozen()

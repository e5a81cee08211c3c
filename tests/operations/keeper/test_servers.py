"""The rounds of a keeper over servers that come and go."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from operations import settings
from operations.keeper import reconcile_loop, servers
from operations.keeper.servers import Notifier, Servers
from operations.keeper.status import KeeperStatus
from operations.network.addresses import UnresolvedName
from operations.rollout.deployment import DeploymentTarget
from operations.store.registry import Registry
from operations.torchserve.endpoints import TorchServeEndpoint
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.keeper.served import served
from tests.operations.reconciler_scenario import ReconcilerScenario

READY = ["READY", "READY"]


class Ground:
    """Two TorchServes at real ports, of which a look-up finds what the test says, and a keeper's rounds."""

    def __init__(self, registry: Registry, members: list[TorchServeEndpoint], fakes: list[FakeTorchServe]) -> None:
        self.members = members
        self.fakes = fakes
        self.found: list[TorchServeEndpoint] | None = list(members)
        self.alerts: list[str] = []
        self.ended = 0
        env = {"MANAGEMENT_URL": "http://m", "INFERENCE_URL": "http://i", "MODEL_WORKERS": "2"}
        self.status = KeeperStatus(registry.root)
        self.notify = Notifier(self.alerts.append, self._stop_reconciling)
        found = settings.keeper_settings(env, registry.root.parent)
        self.servers = Servers(found, self._look_up, self.status, self.notify)

    def _look_up(self) -> list[TorchServeEndpoint]:
        if self.found is None:
            raise UnresolvedName("torchserve is no name")
        return self.found

    def _stop_reconciling(self) -> None:
        self.ended += 1

    @asynccontextmanager
    async def followed(self) -> Any:  # noqa: ANN401 - an iterator of nothing
        """While they are followed."""
        following = asyncio.create_task(self.servers.poll_endpoints())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@pytest.fixture
def ground(registry: Registry, target: DeploymentTarget, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """Version 1 is live, and both servers have just started."""
    monkeypatch.setattr(servers, "RESOLVE_SECONDS", 0.02)
    monkeypatch.setattr(reconcile_loop, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(reconcile_loop, "POLL_SECONDS_WHILE_DOWN", 0.02)
    fakes = [FakeTorchServe(), FakeTorchServe()]
    ReconcilerScenario(target, fakes[0]).write(1)
    with ExitStack() as running:
        yield Ground(registry, [running.enter_context(served(fake)) for fake in fakes], fakes)


async def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - no event tells of another thread
            await asyncio.sleep(0.01)


def test_each_server_gets_the_live_version(ground: Ground) -> None:
    """All of them are whole in the end, and releases go to all."""

    async def run() -> None:
        async with ground.followed():
            await until(lambda: ground.status.ready_servers == 2)
            target = ground.servers.target
            assert target
            assert [one.server.address for one in target.single_servers] == [
                member.management for member in ground.members
            ]

    asyncio.run(run())
    assert [fake.registered for fake in ground.fakes] == [{1: READY}, {1: READY}]
    assert ground.servers.target is None


def test_a_server_that_comes_is_kept_and_one_that_goes_is_not(ground: Ground) -> None:
    """What a look-up finds decides; one that has gone counts no more."""
    first, second = ground.members
    ground.found = [first]

    async def run() -> None:
        async with ground.followed():
            await until(lambda: ground.status.unready_reason() is None)
            assert ground.fakes[1].registered == {}
            ground.found = [second]
            await until(lambda: ground.fakes[1].registered == {1: READY})
            await until(lambda: (ground.status.servers, ground.status.ready_servers) == (1, 1))
            ground.fakes[0].registered.clear()
            ground.found = [first, second]
            await until(lambda: ground.fakes[0].registered == {1: READY})

    asyncio.run(run())


def test_a_look_up_that_fails_takes_no_server_away(ground: Ground, log_lines: list[str]) -> None:
    """The servers that were there are kept on while nobody knows better; it is said once."""

    async def run() -> None:
        async with ground.followed():
            await until(lambda: ground.status.ready_servers == 2)
            ground.found = None
            await until(lambda: log_lines[-1:] == ["torchserve is no name"])
            ground.fakes[0].registered.clear()
            await until(lambda: ground.fakes[0].registered == {1: READY})
            assert (ground.status.servers, log_lines.count("torchserve is no name")) == (2, 1)

    asyncio.run(run())


def test_only_the_only_server_lets_another_version_take_over(ground: Ground, target: DeploymentTarget) -> None:
    """Of two, neither changes the record; when one has gone, the other does."""
    scenario = ReconcilerScenario(target, ground.fakes[0])
    scenario.write(2, previous=1)
    scenario.damage(2)

    async def run() -> None:
        async with ground.followed():
            await until(lambda: len(ground.alerts) == 2)
            assert scenario.record.version == 2
            ground.found = ground.members[:1]
            await until(lambda: scenario.record.version == 1)

    asyncio.run(run())
    assert {alert.split(": ")[0] for alert in ground.alerts[:2]} == {member.management for member in ground.members}


def test_a_server_that_hangs_is_told_once_and_ended_where_that_is_allowed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it has answered again."""
    monkeypatch.setattr(reconcile_loop, "HANG_SECONDS", 0.0)
    ground.found = ground.members[:1]
    hangs = [f"TorchServe at {ground.members[0].management} has not answered for 0 s"]

    async def run() -> None:
        async with ground.followed():
            ground.fakes[0].down = True
            await until(lambda: ground.ended > 2)
            assert ground.alerts == hangs
            ground.fakes[0].down = False
            await until(lambda: ground.status.ready_servers == 1)
            ground.fakes[0].down = True
            await until(lambda: ground.alerts == 2 * hangs)

    asyncio.run(run())

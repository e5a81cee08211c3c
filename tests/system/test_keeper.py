"""`fraud keep` and the real TorchServe: one that it is told of, and one that it runs itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from operations.rollout import deployment
from operations.rollout.release import release
from operations.settings import StatePaths
from operations.torchserve import java, launch
from operations.torchserve.launch import Ports
from tests.operations.local.test_stack import fill
from tests.system.conftest import command_of, descendants, free_port, jvm, wait_for
from tests.timeouts import WAIT_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("keeper"), pytest.mark.timeout(1200)]

KEEP = """
import os, pathlib, sys
from rich.console import Console
from operations import settings
from operations.keeper.keep import keep
from operations.torchserve import container
from operations.torchserve.launch import Ports
if len(sys.argv) > 1:
    container.PORTS = Ports(*map(int, sys.argv[1:]))
keep(settings.keeper_settings(os.environ, pathlib.Path.cwd(), with_torchserve=len(sys.argv) > 1), Console())
"""
"""A keeper; with five ports, one that runs its own TorchServe on these instead of a container's."""


@contextmanager
def running(command: list[str], root: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, which is ended at last."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    with (root / "output.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=root, env={**kept, **environment}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(WAIT_SECONDS)
        finally:
            process.kill()


@contextmanager
def torchserve(root: Path, ports: Ports) -> Iterator[subprocess.Popen[bytes]]:
    """TorchServe as a container runs it, on ports of its own."""
    scratch = root / "ts"
    launch.prepare_scratch(scratch)
    config = root / "torchserve.properties"
    verified = StatePaths(root, root / "model_store").verified
    verified.mkdir(parents=True, exist_ok=True)
    config.write_text(launch.configuration(ports, verified, workers=2))
    command = launch.command(java.find_java(os.environ), config, verified, scratch)
    with running([*command], root, launch.environment({}, scratch)) as process:
        yield process


@contextmanager
def keeping(root: Path, *ports: int, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A keeper, and a client for its pages."""
    port = free_port()
    command = [sys.executable, "-c", KEEP, *map(str, ports)]
    with (
        running(command, root, {**environment, "KEEPER_PORT": str(port)}) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as client,
    ):
        yield process, client


def ready(client: httpx.Client) -> bool:
    """Whether the keeper says that all is loaded."""
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


def whole(root: Path, client: httpx.Client) -> None:
    """Waits until it does."""
    wait_for(lambda: ready(client), explain=lambda: (root / "output.log").read_text()[-2000:])


def test_a_server_elsewhere_is_kept(tmp_path: Path) -> None:
    """What TorchServe or the keeper forgets by a kill -9 is loaded again, and a release goes on beside both."""
    fill(tmp_path)
    ports = Ports(*(free_port() for _ in range(5)))
    management, inference = (f"http://127.0.0.1:{port}" for port in (ports.management, ports.inference))
    outer_env = {"MANAGEMENT_URL": management, "INFERENCE_URL": inference}
    with torchserve(tmp_path, ports) as server, keeping(tmp_path, **outer_env) as (keeper, client):
        whole(tmp_path, client)
        target = deployment.find_target(StatePaths(tmp_path, tmp_path / "model_store"), outer_env)
        assert client.get("/release.json").json()["version"] == 2
        release(target, 1, lambda _: None, accept_shift=True)
        assert client.get("/release.json").json()["version"] == 1
        keeper.kill()
        for pid in (server.pid, *descendants(server.pid)):
            os.kill(pid, signal.SIGKILL)
    with torchserve(tmp_path, ports), keeping(tmp_path, **outer_env) as (_, client):
        whole(tmp_path, client)
        assert {version: there.ready for version, there in target.server.registered().items()}[1] == 2
        target.server.close()


def test_a_server_of_its_own_is_kept_too(tmp_path: Path) -> None:
    """It is started again after a kill -9, and ends with the keeper."""
    fill(tmp_path)
    with keeping(tmp_path, *(free_port() for _ in range(5))) as (keeper, client):
        whole(tmp_path, client)
        first = next(pid for pid in descendants(keeper.pid) if jvm(command_of(pid)))
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: any(pid != first and jvm(command_of(pid)) for pid in descendants(keeper.pid)))
        whole(tmp_path, client)
        everything = descendants(keeper.pid)
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(WAIT_SECONDS) == 0
        assert not any(jvm(command_of(pid)) or "model_service_worker" in command_of(pid) for pid in everything)

"""A TorchServe that the keeper itself runs: how it is started and found."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from operations import settings
from operations.errors import OperationsError
from operations.jobs.clean import clean
from operations.keeper import own_server
from operations.local.programs import free_ports
from operations.rollout import deployment
from operations.settings import KeeperSettings
from operations.torchserve import container
from operations.torchserve.launch import Ports


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Free ones in the place of a container's."""
    ports = Ports(*free_ports(5))
    monkeypatch.setattr(container, "PORTS", ports)
    return ports


def read(root: Path, **env: str) -> KeeperSettings:
    """The settings of a keeper with its own TorchServe."""
    found = settings.keeper_settings(env, root, with_torchserve=True)
    found.paths.prepare()
    return found


def test_management_stays_on_the_loopback(tmp_path: Path, ports: Ports) -> None:
    """Whatever the environment asks for; inference is where INFERENCE_HOST says, and the keeper reaches it."""
    found = read(tmp_path, INFERENCE_HOST="0.0.0.0", MANAGEMENT_HOST="0.0.0.0")  # noqa: S104 - a container's network
    with own_server.own_torchserve(found) as (program, endpoint):
        config = Path(program.command[program.command.index("-f") + 1]).read_text()
        assert f"management_address=http://127.0.0.1:{ports.management}\n" in config
        assert f"inference_address=http://0.0.0.0:{ports.inference}\n" in config
        assert endpoint == (f"http://127.0.0.1:{ports.management}", f"http://127.0.0.1:{ports.inference}")


def test_a_host_that_no_server_can_listen_on_is_refused(tmp_path: Path, ports: Ports) -> None:
    """TorchServe listens on addresses of version 4."""
    with (
        pytest.raises(OperationsError, match="INFERENCE_HOST=:: is no name"),
        own_server.own_torchserve(read(tmp_path, INFERENCE_HOST="::")),
    ):
        pass


def test_without_a_host_nothing_is_open_to_others(tmp_path: Path, ports: Ports) -> None:
    """Inference is on the loopback unless it is said otherwise."""
    with own_server.own_torchserve(read(tmp_path)) as (program, _):
        config = Path(program.command[program.command.index("-f") + 1]).read_text()
    assert f"inference_address=http://127.0.0.1:{ports.inference}\n" in config


def test_commands_beside_it_find_it(tmp_path: Path, ports: Ports) -> None:
    """`fraud release` in the same container needs no address; when it has ended, nothing runs."""
    found = read(tmp_path, REVIEW_THRESHOLD="0.2")
    with own_server.own_torchserve(found) as (program, endpoint):
        running = deployment.find_target(found.paths, {})
        assert (running.server.address, running.workers) == (endpoint.management, None)
        assert running.thresholds.review == 0.2
        assert found.paths.stack.stat().st_mode & 0o777 == 0o600
        scratch = program.directory
    assert not scratch.exists()
    with pytest.raises(OperationsError, match="nothing runs here"):
        deployment.find_target(found.paths, {})


def test_no_secret_reaches_it(tmp_path: Path, ports: Ports) -> None:
    """Its workers run models, and need neither keys nor Redis."""
    found = read(tmp_path, API_KEY="a", REDIS_URL="redis://:secret@there", CUDA_VISIBLE_DEVICES="0")
    with own_server.own_torchserve(found) as (program, _):
        assert not {"API_KEY", "REDIS_URL"} & program.environment.keys()
        assert program.environment["CUDA_VISIBLE_DEVICES"] == "0"


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A directory for temporary files with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield


@pytest.mark.usefixtures("ports", "temporary")
def test_the_cleaning_sees_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraud clean` leaves the scratch of one that has been idle for long, by its mark alone, while it runs."""
    found = read(tmp_path)
    with own_server.own_torchserve(found) as (program, _):
        for path in program.directory.glob("*.*"):  # They are read once, and must not be what the scratch hangs on.
            path.unlink()
        for path in (program.directory / "ts", program.directory):
            os.utime(path, (1e9, 1e9))
        with subprocess.Popen(["/bin/sleep", "60"], env=program.environment) as process:
            monkeypatch.setattr(psutil, "process_iter", lambda: [psutil.Process(process.pid)])
            try:
                clean(found.paths, {}, lambda _: None)
                assert program.directory.exists()
            finally:
                process.kill()
        monkeypatch.setattr(psutil, "process_iter", lambda: [])
        clean(found.paths, {}, lambda _: None)
        assert not program.directory.exists()


def test_a_port_that_is_taken_is_told(tmp_path: Path, ports: Ports) -> None:
    """It is said before anything is started, and no trace is left."""
    found = read(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.management))
        taken.listen()
        with (
            pytest.raises(OperationsError, match=f"its port {ports.management} is taken"),
            own_server.own_torchserve(found),
        ):
            pass
    assert not found.paths.stack.exists()

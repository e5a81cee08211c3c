"""The command by which a container asks whether its gateway is ready."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import healthy
from tests.gateway.serving_http import RecordServer, free_port
from tests.timeouts import WAIT_SECONDS

ROOT = Path(healthy.__file__).parent.parent


@pytest.fixture
def server() -> Iterator[RecordServer]:
    """Answers as it is told."""
    server = RecordServer()
    yield server
    server.die()


def status(**environ: str) -> int:
    """The command's exit status; it says nothing."""
    command = [sys.executable, "-m", "gateway.healthy"]
    environment = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=WAIT_SECONDS, check=False)
    assert (done.stdout, done.stderr) == (b"", b"")
    return done.returncode


@pytest.mark.parametrize(("answered", "expected"), [(200, 0), (503, 1), (302, 1)])
def test_the_exit_status_is_readiness(server: RecordServer, answered: int, expected: int) -> None:
    """0 where /readyz is 200, and 1 for any other answer."""
    server.status, server.headers = answered, {"location": "/elsewhere"}
    assert status(PORT=str(server.port)) == expected
    assert server.asked == {"/readyz": 1}


def test_a_gateway_that_is_not_there_is_not_ready() -> None:
    """Nobody listening is 1, as is a port that is none."""
    assert [status(PORT=str(free_port())), status(PORT="http")] == [1, 1]


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])  # noqa: S104 - asked by, not bound
def test_it_is_asked_where_it_listens(server: RecordServer, host: str) -> None:
    """A server that listens on every address is asked on the loopback one, any other where it listens."""
    assert healthy.ready({"HOST": host, "PORT": str(server.port)})


def test_a_silent_gateway_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the connection and says nothing is given up."""
    monkeypatch.setattr(healthy, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not healthy.ready({"PORT": str(silent.getsockname()[1])})


def test_it_starts_soon() -> None:
    """It loads none of the libraries that the gateway takes a second to load."""
    foreign = "{name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names"
    program = f"import sys; sys.path.append({str(ROOT)!r}); import gateway.healthy; print(sorted({foreign}))"
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "['__main__', 'gateway']\n"

"""The health check of TorchServe's container."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.frame import DESCRIBE
from operations.torchserve import ready as module
from operations.torchserve.ready import check
from releases.record import FILE_NAME, Release
from tests.timeouts import WAIT_SECONDS


class Scores(BaseHTTPRequestHandler):
    """Answers as a TorchServe does on which version 7 has a worker."""

    def do_GET(self) -> None:
        """The health that is always good."""
        self._answer(self.path == "/ping")

    def do_POST(self) -> None:
        """A description of version 7."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer((self.path, body) == ("/predictions/fraud/7", DESCRIBE))

    def _answer(self, good: bool) -> None:
        self.send_response(200 if good else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the method's own argument
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where such a server listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Scores) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def placed(directory: Path, port: int, version: int | None = None) -> Path:
    """A container's scratch directory, which is also its store: where it listens, and what is live."""
    (directory / module.ADDRESS_FILE).write_text(f"http://127.0.0.1:{port}")
    if version:
        record = Release(version, None, "2026-01-01T00:00:00+00:00")
        (directory / FILE_NAME).write_bytes(record.to_bytes())
    return directory


def test_a_server_that_scores_the_live_version_is_ready(tmp_path: Path, port: int) -> None:
    """Ready is a server on which the recorded version has a worker that answers."""
    assert check(placed(tmp_path, port, 7), tmp_path, 0.0)


def test_a_server_without_the_live_version_is_not_ready(tmp_path: Path, port: int) -> None:
    """The health that TorchServe always reports counts for nothing once a version is live."""
    assert not check(placed(tmp_path, port, 8), tmp_path, 0.0)


def test_a_server_that_waits_for_its_first_version_is_ready(tmp_path: Path, port: int) -> None:
    """Where nothing was released yet, answering is enough: or nobody would release to it."""
    assert check(placed(tmp_path, port), tmp_path, 0.0)


def test_a_server_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    """Nothing listens on port 1, and nothing was started where no address is written."""
    assert not check(tmp_path, tmp_path, 0.0)
    assert not check(placed(tmp_path, 1), tmp_path, 0.0)


def test_the_check_knows_the_same_names_as_the_contract() -> None:
    """What it repeats, so as to need the standard library alone, is what others use."""
    assert (module.DESCRIBE, module.RECORD) == (DESCRIBE, FILE_NAME)


def test_the_check_imports_little() -> None:
    """It runs every few seconds, and so loads neither numpy nor httpx."""
    code = "import sys, operations.torchserve.ready; print(*{'numpy', 'httpx', 'typer'} & sys.modules.keys())"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_SECONDS
    )
    assert found.stdout.strip() == ""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the JVM, its number where the container writes it."""
    with subprocess.Popen(["sleep", "300"]) as process:
        (tmp_path / module.PID_FILE).write_text(str(process.pid))
        yield process
        process.kill()


@pytest.fixture
def frozen() -> Iterator[int]:
    """A port that takes connections and never answers, as a JVM that was stopped does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_server_that_is_silent_for_long_is_ended(
    tmp_path: Path, frozen: int, sleeper: subprocess.Popen[bytes]
) -> None:
    """A JVM that hangs is killed after a minute of silence, and not before, so that its container starts again."""
    placed(tmp_path, frozen, 7)
    assert not check(tmp_path, tmp_path, 100.0)
    assert not check(tmp_path, tmp_path, 100.0 + module.UNRESPONSIVE_SECONDS)
    assert sleeper.poll() is None
    assert not check(tmp_path, tmp_path, 101.0 + module.UNRESPONSIVE_SECONDS)
    assert sleeper.wait(WAIT_SECONDS) == -9


def test_a_check_of_a_frozen_server_ends_before_docker_ends_it(tmp_path: Path, frozen: int) -> None:
    """Docker kills a check at its timeout: what it was to note must be noted by then."""
    dockerfile = (Path(__file__).parents[3] / "Dockerfile.torchserve").read_text()
    (timeout,) = re.findall(r"HEALTHCHECK .*--timeout=(\d+)s", dockerfile)
    home = tmp_path / module.HOME_DIRECTORY
    home.mkdir()
    placed(home, frozen, 7)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "MODEL_PATH": str(home)}
    command = [sys.executable, "-m", "operations.torchserve.ready"]
    assert subprocess.run(command, env=environment, check=False, timeout=int(timeout)).returncode == 1
    assert (home / module.UNRESPONSIVE_FILE).exists()


def test_a_server_that_answers_between_is_not_ended(
    tmp_path: Path, port: int, sleeper: subprocess.Popen[bytes]
) -> None:
    """One that says that it is not ready does not hang: its silence is counted from anew."""
    placed(tmp_path, 1, 8)
    assert not check(tmp_path, tmp_path, 100.0)
    assert not check(placed(tmp_path, port), tmp_path, 130.0)
    assert not check(placed(tmp_path, 1), tmp_path, 200.0)
    assert sleeper.poll() is None

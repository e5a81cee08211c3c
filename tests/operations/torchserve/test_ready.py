"""The health check of TorchServe's container."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.frame import DESCRIBE
from contract.release import FILE_NAME, Release
from operations.torchserve import container
from operations.torchserve import ready as module
from operations.torchserve.ready import check, ready


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


def store(directory: Path, version: int) -> dict[str, str]:
    """The environment of a container whose store has this version live."""
    (directory / FILE_NAME).write_bytes(Release(version, None, "2026-01-01T00:00:00+00:00").to_bytes())
    return {"MODEL_PATH": str(directory)}


def test_a_server_that_scores_the_live_version_is_ready(tmp_path: Path, port: int) -> None:
    """Ready is a server on which the recorded version has a worker that answers."""
    assert ready(store(tmp_path, 7), port)


def test_a_server_without_the_live_version_is_not_ready(tmp_path: Path, port: int) -> None:
    """The health that TorchServe always reports counts for nothing once a version is live."""
    assert not ready(store(tmp_path, 8), port)


def test_a_server_that_waits_for_its_first_version_is_ready(tmp_path: Path, port: int) -> None:
    """Where nothing was released yet, answering is enough: or nobody would release to it."""
    assert ready({"MODEL_PATH": str(tmp_path)}, port)


def test_a_server_that_does_not_answer_is_not_ready(tmp_path: Path) -> None:
    """Nothing listens on port 1."""
    assert not ready({"MODEL_PATH": str(tmp_path)}, 1)


def test_the_check_knows_the_same_names_as_the_contract() -> None:
    """What it repeats, so as to need the standard library alone, is what others use."""
    assert (DESCRIBE, FILE_NAME, container.PORTS.inference) == (module.DESCRIBE, module.RECORD, module.INFERENCE_PORT)


def test_the_check_imports_little() -> None:
    """It runs every few seconds, and so loads neither numpy nor httpx."""
    code = "import sys, operations.torchserve.ready; print(*{'numpy', 'httpx', 'typer'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert found.stdout.strip() == ""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the JVM, its number where the container writes it."""
    with subprocess.Popen(["sleep", "300"]) as process:
        (tmp_path / module.PROCESS).write_text(str(process.pid))
        yield process
        process.kill()


def test_a_server_that_is_silent_for_long_is_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """A JVM that hangs is killed after a minute of silence, and not before, so that its container starts again."""
    outside = {"MODEL_PATH": str(tmp_path)}
    assert not check(outside, tmp_path, 1, now=100.0)
    assert not check(outside, tmp_path, 1, now=100.0 + module.FROZEN)
    assert sleeper.poll() is None
    assert not check(outside, tmp_path, 1, now=101.0 + module.FROZEN)
    assert sleeper.wait(10) == -9


def test_a_server_that_answers_between_is_not_ended(
    tmp_path: Path, port: int, sleeper: subprocess.Popen[bytes]
) -> None:
    """One that says that it is not ready does not hang: its silence is counted from anew."""
    outside = store(tmp_path, 8)
    assert not check(outside, tmp_path, 1, now=100.0)
    assert not check(outside, tmp_path, port, now=130.0)
    assert not check(outside, tmp_path, 1, now=200.0)
    assert sleeper.poll() is None

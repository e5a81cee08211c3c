"""`fraud up` with the real TorchServe, Valkey and gateway, in a directory of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from operations.errors import OperationsError
from operations.programs import free_ports
from operations.registry import Registry
from operations.torchserve import ModelServer
from tests import tiny

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

PATIENCE = 60.0
SOURCE = Path(__file__).parents[2]
ROWS = "transaction_id,timestamp,amount,age,channel\na,2026-01-01T10:00:00,10,30,chip\n"


def pack(directory: Path, version: int) -> Path:
    """A real archive of the tiny model."""
    files = tiny.write_version(directory / f"version-{version}", version, slope=0.01 / version)
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": "fraud",
            "modelVersion": str(version),
            "handler": "fraud_handler.py",
            "serializedFile": "model.pt",
        },
    }
    file = directory / f"built-{version}.mar"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.write(SOURCE / "handlers" / "fraud_handler.py", "fraud_handler.py")
        for path in files.iterdir():
            archive.write(path, path.name)
    return file


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    def upload(self) -> httpx.Response:
        """Scores one transaction."""
        url = f"http://127.0.0.1:{self.port}/upload"
        headers = {"x-api-key": "test-key", "content-type": "text/csv"}
        return httpx.post(url, content=ROWS, headers=headers, timeout=30.0, trust_env=False)

    def scores(self, version: int) -> bool:
        """Whether a version answers now."""
        with contextlib.suppress(httpx.HTTPError):
            answer = self.upload()
            return answer.status_code == httpx.codes.OK and answer.json()["model_version"] == version
        return False

    def whole(self, version: int) -> bool:
        """Whether a version has both its workers and scores."""
        addresses = json.loads((self.root / "var" / "run" / "stack.json").read_bytes())
        server = ModelServer(addresses["management_url"], addresses["inference_url"])
        with contextlib.closing(server), contextlib.suppress(OperationsError, KeyError):
            return server.registered()[version].ready == 2 and self.scores(version)
        return False

    def processes(self) -> list[psutil.Process]:
        """Everything that it has started, with the workers."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, part: str) -> psutil.Process:
        """The process of it whose command line has this part."""
        return next(process for process in self.processes() if any(part in word for word in process.cmdline()))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`fraud up` where version 1 of the tiny model is live and version 2 is in the store."""
    root = tmp_path_factory.mktemp("clone")
    fill(root)
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "operations", "up", "--port", str(port)]
    outside = {name: value for name, value in os.environ.items() if name not in ("API_KEY", "REDIS_URL")}
    with (root / "up.log").open("wb") as log:
        environment = outside | {"MODEL_PATH": "model_store/fraud-1.mar"}
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, env=environment)
    running = Stack(root, port, process)
    try:
        until(lambda: running.scores(1))
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def fill(root: Path) -> None:
    """Two versions, and the sample file, so that nothing is trained or simulated."""
    registry = Registry(root / "model_store")
    for version in (1, 2):
        card = replace(tiny.card(version), data={"sha256": "0" * 64})
        registry.add(pack(root, version), card, tiny.CONTRACT)
    (root / "examples").mkdir()
    (root / "examples" / "transactions.csv").write_text(ROWS)


def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def fraud(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command beside the stack."""
    command = [sys.executable, "-m", "operations", *arguments]
    return subprocess.run(command, cwd=stack.root, capture_output=True, text=True, timeout=60, check=False)


def test_a_second_stack_in_the_directory_is_refused(stack: Stack) -> None:
    """One directory runs one stack; the second is told so."""
    refused = fraud(stack, "up", "--port", str(free_ports(1)[0]))
    assert refused.returncode == 1
    assert "a stack runs in" in refused.stderr


def test_the_addresses_are_their_owners_alone(stack: Stack) -> None:
    """The file that names the management port is readable by its owner only."""
    assert (stack.root / "var" / "run" / "stack.json").stat().st_mode & 0o777 == 0o600


def test_no_secret_reaches_the_workers(stack: Stack) -> None:
    """A worker's environment holds neither the key nor Valkey's address."""
    assert not {"API_KEY", "REDIS_URL"} & stack.find("model_service_worker").environ().keys()


def test_a_release_reaches_the_running_gateway(stack: Stack) -> None:
    """`fraud release` makes another version answer, and back again, with no restart."""
    for version in (2, 1):
        released = fraud(stack, "release", str(version))
        assert released.returncode == 0, released.stderr
        until(partial(stack.scores, version))


@pytest.mark.parametrize("part", ["model_service_worker", "org.pytorch.serve", "valkey-server", "gateway"])
def test_the_stack_is_whole_again_after_a_kill(stack: Stack, part: str) -> None:
    """Whichever process is killed with -9, the live version scores again within a minute, and nothing is left over."""
    killed: Any = stack.find(part)
    killed.kill()
    until(lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
    until(lambda: stack.whole(1))


def test_stopping_leaves_nothing_behind(stack: Stack) -> None:
    """One SIGINT ends everything within ten seconds; the last test of the stack."""
    everything = stack.processes()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(10) == 0
    assert not [process for process in everything if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert "Everything is stopped" in (stack.root / "up.log").read_text()
    assert not (stack.root / "var" / "run" / "stack.json").exists()

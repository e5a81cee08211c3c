"""`fraud up` with the real TorchServe, Valkey and gateway, in a directory of its own."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from redis import Redis

from history.keyed_hash import KEY_CHECK, HistoryKey
from history.known_ids import TRANSACTION
from operations.errors import OperationsError
from operations.local.programs import free_ports
from operations.processes.supervisor import MARK
from operations.store.registry import Registry
from operations.torchserve.client import TorchServeClient
from releases.record import Release
from tests import tiny, valkey
from tests.operations import conftest
from tests.timeouts import WAIT_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

SOURCE = Path(__file__).parents[3]
SECRETS = {"API_KEY": "a-key, another", "HUB_TOKEN": "a-token"}
ROWS = "transaction_id,timestamp,amount,age,channel\na,2026-01-01T10:00:00,10,30,chip\n"


def pack(directory: Path, version: int, more: bytes = b"") -> Path:
    """A real archive of the tiny model, and of a handler that runs this, too."""
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
    contents = {path.name: path.read_bytes() for path in files.iterdir()}
    contents["MAR-INF/MANIFEST.json"] = json.dumps(manifest).encode()
    contents["fraud_handler.py"] = (SOURCE / "handlers" / "fraud_handler.py").read_bytes() + more
    contents |= {f"contract/{path.name}": path.read_bytes() for path in (SOURCE / "contract").glob("*.py")}
    return conftest.pack(directory / f"built-{version}.mar", contents)


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]

    def upload(self) -> httpx.Response:
        """Scores one transaction."""
        url = f"http://127.0.0.1:{self.port}/upload"
        headers = {"x-api-key": "a-key", "content-type": "text/csv"}
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
        server = TorchServeClient(addresses["management_url"], addresses["inference_url"])
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
    remember(root / "var" / "valkey")
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "operations", "up", "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "HISTORY_KEY")}
    with (root / "up.log").open("wb") as log:
        environment = env | SECRETS | {"MODEL_PATH": "model_store/fraud-1.mar"}
        process = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, env=environment)
    running = Stack(root, port, process)
    try:
        until(lambda: running.scores(1))
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(WAIT_SECONDS)


def fill(root: Path) -> None:
    """Two versions, and the sample file, so that nothing is trained or simulated."""
    registry = Registry(root / "model_store")
    for version in (1, 2):
        card = replace(tiny.card(version), data={"sha256": "0" * 64})
        registry.add(pack(root, version), card, tiny.CONTRACT)
    (root / "examples").mkdir()
    (root / "examples" / "transactions.csv").write_text(ROWS)
    for directory in ("log", "valkey", "backups"):  # As an older release left them.
        (root / "var" / directory).mkdir(parents=True, mode=0o755)
        (root / "var" / directory / "older").write_text("")


def remember(directory: Path) -> None:
    """A transaction, as a release without a key had it."""
    with valkey.running(directory) as older, older.client() as redis:
        redis.set("fraud:t:0123456789abcdef", "a record", ex=86_400)


def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def fraud(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command beside the stack."""
    command = [sys.executable, "-m", "operations", *arguments]
    return subprocess.run(command, cwd=stack.root, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)


def test_a_second_stack_in_the_directory_is_refused(stack: Stack) -> None:
    """One directory runs one stack; the second is told so."""
    refused = fraud(stack, "up", "--port", str(free_ports(1)[0]))
    assert refused.returncode == 1
    assert "a stack runs in" in refused.stderr


def test_the_addresses_are_their_owners_alone(stack: Stack) -> None:
    """The file that names the management port is readable by its owner only."""
    assert (stack.root / "var" / "run" / "stack.json").stat().st_mode & 0o777 == 0o600


def test_what_it_writes_is_its_owners_alone(stack: Stack) -> None:
    """Everything below var and in the store, whoever of its programs wrote it, from before too: nobody else reads it.

    But for the outcomes of jobs, which are for another user's node_exporter; var itself shows nothing, for that one.
    """
    assert fraud(stack, "check").returncode in (0, 1)
    (scratch,) = {json.loads((stack.root / "var" / "run" / "processes.json").read_text())["scratch"]}
    directories = (stack.root / "var", stack.root / "model_store", Path(scratch))
    found = {path for each in directories for path in (each, *each.rglob("*")) if path.lstat().st_mode & 0o077}
    jobs = stack.root / "var" / "jobs"
    assert {path for path in found if not path.is_symlink()} == {stack.root / "var", jobs, jobs / "check.prom"}
    assert (stack.root / "var").stat().st_mode & 0o777 == 0o711
    written = {path.name for each in directories for path in each.rglob("*")}
    assert {"gateway.jsonl", "torchserve.log", "appendonlydir", "history.key", "release.json", "older"} <= written


def test_what_an_older_release_stored_gets_its_key(stack: Stack) -> None:
    """Of the secret that the first start has made."""
    address = json.loads((stack.root / "var" / "run" / "stack.json").read_text())["redis_url"]
    key = HistoryKey.of((stack.root / "var" / "history.key").read_text())
    with Redis.from_url(address) as redis:
        until(lambda: redis.get(KEY_CHECK) == key.check)
        assert redis.get(TRANSACTION + key.keyed(b"0123456789abcdef")) == b"a record"
        assert not redis.exists("fraud:t:0123456789abcdef")


def test_no_secret_reaches_the_workers(stack: Stack) -> None:
    """A worker's environment holds neither the key nor Valkey's address, and no other secret of the shell."""
    environment = stack.find("model_service_worker").environ()
    assert not {"API_KEY", "REDIS_URL", "HUB_TOKEN"} & environment.keys()
    assert not {"a-key, another", "a-token"} & set(environment.values())


def test_every_process_carries_the_mark(stack: Stack) -> None:
    """What a killed stack leaves behind can be told from everything else by its environment."""
    assert len({process.environ().get(MARK) for process in stack.processes()} - {None}) == 1
    assert all(MARK in process.environ() for process in stack.processes())


def test_the_greeting_points_to_the_columns(stack: Stack) -> None:
    """With a key that was set, it is to be exported first and is not shown."""
    log = stack.root / "up.log"
    until(lambda: "curl" in log.read_text())
    message = log.read_text()
    assert "in the other terminal first: export API_KEY=..." in message
    assert not any(key in message for key in ("a-key", "another"))
    assert "loaded again" not in message


def test_a_release_reaches_the_running_gateway(stack: Stack) -> None:
    """`fraud release` makes another version answer, and back again, with no restart."""
    for version in (2, 1):
        released = fraud(stack, "release", str(version), "--accept-shift")
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
    """One SIGINT ends everything; the last test of the stack."""
    everything = stack.processes()
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(WAIT_SECONDS) == 0
    assert not [process for process in everything if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert "Everything is stopped" in (stack.root / "up.log").read_text()
    assert not (stack.root / "var" / "run" / "stack.json").exists()


def begin(root: Path, out: int, **environment: str) -> Stack:
    """Another stack, over the terminal or pipe given."""
    fill(root)
    return start(root, out, **environment)


def start(root: Path, out: int, **environment: str) -> Stack:
    """A stack with the model store that is there."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "operations", "up", "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if name not in ("MODEL_PATH", "REDIS_URL")}
    env |= SECRETS | environment
    return Stack(root, port, subprocess.Popen(command, cwd=root, stdout=out, stderr=out, env=env))


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_a_dead_terminal_stops_nothing_but_what_it_should(tmp_path: Path, kind: str) -> None:
    """After the terminal or pipe is gone a killed gateway comes back, and SIGHUP still ends everything."""
    theirs, ours = pty.openpty() if kind == "terminal" else os.pipe()
    stack = begin(tmp_path, ours)
    os.close(ours)
    until(lambda: stack.scores(2))
    os.close(theirs)
    stack.find("gateway").kill()
    until(lambda: not stack.scores(2))
    until(lambda: stack.scores(2))
    everything = stack.processes()
    stack.process.send_signal(signal.SIGHUP)
    stack.process.wait(WAIT_SECONDS)
    assert not [process for process in everything if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_another_version_takes_over_from_a_damaged_one(tmp_path: Path) -> None:
    """A stack that starts where the live archive is damaged serves the version before it, and says so."""
    fill(tmp_path)
    store = tmp_path / "model_store"
    (store / "release.json").write_bytes(Release(2, None, "2026-01-01T00:00:00+00:00").to_bytes())
    (store / "fraud-2.mar").write_bytes(b"archive X")
    with (tmp_path / "up.log").open("wb") as log:
        stack = start(tmp_path, log.fileno())
    try:
        until(lambda: stack.scores(1))
        until(lambda: "curl" in (tmp_path / "up.log").read_text())
    finally:
        stack.process.send_signal(signal.SIGINT)
        stack.process.wait(WAIT_SECONDS)
    message = (tmp_path / "up.log").read_text()
    assert "version 1 took over: version 2, which is live, cannot be loaded" in message
    assert "version 1, 2 workers" in message


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"REDIS_URL": "wrong://secret"}, "error: REDIS_URL is no redis://"),
        ({"FOLLOW_SECONDS": "secret"}, "error: the gateway cannot start: FOLLOW_SECONDS: "),
        ({"TMPDIR": "long"}, "TMPDIR"),
    ],
)
def test_what_cannot_start_ends_with_one_line(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    """A wrong setting and a path that is too long are said, and nothing is tried for ever."""
    if "TMPDIR" in environment:
        (tmp_path / ("x" * 100)).mkdir()
        environment = {"TMPDIR": str(tmp_path / ("x" * 100))}
    with (tmp_path / "up.log").open("wb") as log:
        stack = begin(tmp_path, log.fileno(), **environment)
    assert stack.process.wait(WAIT_SECONDS) == 1
    output = (tmp_path / "up.log").read_text()
    assert message in output.splitlines()[-1]
    assert "Traceback" not in output
    assert "secret" not in output

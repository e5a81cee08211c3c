"""The whole system as a newcomer starts it, in a directory of its own: `fraud up`, the real TorchServe and Valkey."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.timeouts import WAIT_SECONDS

FRAUD = Path(sys.executable).parent / "fraud"
KEY = "test-key"
GREETED = "\ncurl "
"""What `fraud up` prints last, when the past is loaded."""
EXAMPLE = Path(__file__).parents[2] / "examples" / "transactions.csv"
FIRST_START_SECONDS = 600
"""The first start trains the default model; the other tests' load is on the same two cores."""
IN_FLIGHT = 8
"""Requests of a load that are not answered yet: a machine that is busy with other things is asked for less."""


class Stack:
    """One running stack.

    Attributes:
        directory: where it runs; its var/ and model_store/ are there.
        first: what it answered to the example file as soon as it was ready, before anybody had asked it anything.
    """

    first: dict[str, Any]

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, timeout=30, trust_env=False)
        self.output = directory / "output.txt"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        port = self.url.rpartition(":")[2]
        environment = {name: value for name, value in os.environ.items() if name not in {"API_KEY", "REDIS_URL"}}
        environment.setdefault("GATEWAY_PROCESSES", "1")  # On any machine; tests/gateway/test_processes.py has several.
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [FRAUD, "up", "--port", port],
                cwd=self.directory,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, seconds: float = WAIT_SECONDS) -> None:
        """Waits until the stack is whole: the gateway is ready, and the default model has its past.

        A file that is scored before that has other scores than after it, and is remembered with them.
        """
        wait_for(self.ready, seconds, lambda: self.output.read_text()[-2000:])
        wait_for(lambda: GREETED in self.output.read_text(), seconds, lambda: self.output.read_text()[-2000:])

    def ready(self) -> bool:
        """Whether the gateway says that it can score."""
        assert self.process.poll() is None, self.output.read_text()[-2000:]
        try:
            return self.client.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def upload(self, csv: bytes, query: str = "") -> httpx.Response:
        """Uploads a file as the guide's curl does."""
        return self.client.post(f"/upload{query}", files={"file": ("transactions.csv", csv)})

    def fraud(self, *arguments: str | Path) -> str:
        """Runs a `fraud` command beside the stack; returns what it printed."""
        done = subprocess.run([FRAUD, *arguments], cwd=self.directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a `fraud` command beside the stack; what it prints can be read line by line."""
        return subprocess.Popen(
            [FRAUD, *arguments], cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def predictions(self, csv: bytes) -> tuple[int, Any]:
        """The version that scored a file, and its predictions."""
        answer = self.upload(csv)
        assert answer.is_success, answer.text
        return answer.json()["model_version"], answer.json()["predictions"]

    def rollout_state(self) -> str:
        """What tells why a release is not followed: the record, the newest of the journal and the logs, /health."""
        store, logs = self.directory / "model_store", self.directory / "var" / "log"
        events = [line for line in _lines(logs / "gateway.jsonl") if '"request_id"' not in line]
        newest = [*_lines(store / "journal.jsonl")[-8:], *events[-40:], *_lines(logs / "gateway.log")[-20:]]
        try:
            health = self.client.get("/health").text
        except httpx.HTTPError as error:
            health = repr(error)
        return "\n".join([*_lines(store / "release.json"), *newest, *_lines(self.output)[-20:], health])

    def processes(self) -> list[int]:
        """Every process that the stack's own belongs to by descent, itself first."""
        return [self.process.pid, *descendants(self.process.pid)]

    def stop(self) -> None:
        """Ctrl-C."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(WAIT_SECONDS)


class Traffic:
    """A steady stream of uploads from a thread of its own; notes every answer with its time."""

    def __init__(self, stack: Stack, csv: bytes) -> None:
        self._client = httpx.Client(base_url=stack.url, headers={"X-API-Key": KEY}, timeout=30, trust_env=False)
        self._csv = csv
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[tuple[int, dict[str, Any]]] = []

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._ending.wait(0.02):
            answer = self._client.post("/upload", files={"file": ("t.csv", self._csv)})
            self.answers.append((answer.status_code, answer.json()))


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = WAIT_SECONDS, explain: Callable[[], str] = str) -> None:
    """Waits for a condition, and says what stood in its way if it does not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {explain()}"
        time.sleep(0.1)


def descendants(pid: int) -> list[int]:
    """The processes that descend from one, whatever group they are in."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, frontier = list[int](), [pid]
    while frontier:
        frontier = [child for each in frontier for child in children.get(each, [])]
        found += frontier
    return found


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def train(stack: Stack, *arguments: str | Path) -> int:
    """Trains one more version; returns its number."""
    printed = re.search(r"Version (\d+) is in the model store", stack.fraud("train", *arguments))
    assert printed
    return int(printed[1])


def release(stack: Stack, version: int) -> None:
    """Makes a version live, whatever it flags: what this costs is the gate's own tests' concern."""
    stack.fraud("release", str(version), "--accept-shift")
    wait_until_live(stack, version)  # A busy gateway is named after 10 s, and follows then.


def wait_until_live(stack: Stack, version: int) -> None:
    """Waits until the gateway serves a version; says how the release stands if it does not."""
    wait_for(lambda: live_version(stack) == version, explain=stack.rollout_state)


def find(stack: Stack, is_it: Callable[[str], bool]) -> list[int]:
    """The stack's processes of a kind."""
    return [pid for pid in descendants(stack.process.pid) if is_it(command_of(pid))]


def worker(command: str) -> bool:
    """A TorchServe worker."""
    return "model_service_worker.py" in command


def jvm(command: str) -> bool:
    """TorchServe itself."""
    return "org.pytorch.serve.ModelServer" in command and "java" in command.split(maxsplit=1)[0]


def valkey(command: str) -> bool:
    """The database."""
    return command.startswith(("valkey-server", "/")) and "valkey-server" in command.split(maxsplit=1)[0]


def gateway(command: str) -> bool:
    """The gateway."""
    return "-m gateway" in command and "parent_death" not in command


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that began with an empty model store."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        wait_for(stack.ready, FIRST_START_SECONDS, lambda: stack.output.read_text()[-2000:])
        stack.first = stack.upload(EXAMPLE.read_bytes()).json()
        stack.wait_until_ready(FIRST_START_SECONDS)
        wait_for((stack.directory / "examples" / "transactions.csv").exists)
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def stack(first_start: Stack) -> Stack:
    """The running stack, whole, with version 1 live: a test before may have left it otherwise."""
    record = json.loads((first_start.directory / "model_store" / "release.json").read_text())
    if (record["version"], record["trial"], record["instead_of"]) != (1, None, None):
        release(first_start, 1)
    wait_until_live(first_start, 1)
    first_start.wait_until_ready()
    return first_start


def live_version(stack: Stack) -> int:
    """The version that the gateway serves; 0 is none."""
    answer = stack.client.get("/v1/contract")
    return int(answer.json()["model_version"]) if answer.is_success else 0


@pytest.fixture(scope="session")
def sample(first_start: Stack) -> bytes:
    """The example file."""
    return (first_start.directory / "examples" / "transactions.csv").read_bytes()


@dataclass(frozen=True, slots=True)
class Twin:
    """A second version with the columns of the first, and what both make of a small file.

    Attributes:
        version: its number; the first one's is 1.
        csv: three transactions.
        right: the predictions of each version.
    """

    version: int
    csv: bytes
    right: Mapping[int, Any]


@pytest.fixture(scope="session")
def twin(first_start: Stack, sample: bytes) -> Twin:
    """Trained once in a session; afterwards version 1 is live and the twin is the one to go back to."""
    csv = b"".join(sample.splitlines(keepends=True)[:4])
    seed = 1 + int(os.environ.get("TRAIN_SEED", "0"))  # Not the first version's.
    version = train(first_start, "--seed", str(seed))  # In full: tests release it through the gate.
    right = {}
    for each in (version, 1):
        release(first_start, each)
        right[each] = first_start.predictions(csv)[1]
    assert right[version] != right[1]
    return Twin(version, csv, right)

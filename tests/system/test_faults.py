"""A night of faults under a steady load: every answer is what it says it is, and the log tells the same."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from benchmarks.fault_answers import ExpectedScores, contradictions, degraded, faults
from benchmarks.load import OK, Load, LoadResponse
from benchmarks.switches import logged
from tests.system.conftest import IN_FLIGHT, KEY, Stack, Twin, find, free_port, gateway, jvm, valkey, wait_for, worker

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

RATE = 20
UNDER_FAULT = 3 * RATE
"""Requests that leave while a fault lasts: three seconds of them."""
STEADY = 10
QUERY = "?record=false"
Fault = Callable[[Stack], AbstractContextManager[None]]


def killed(part: Callable[[str], bool]) -> Fault:
    """A part that is ended with SIGKILL, and comes back by itself."""

    @contextmanager
    def fault(stack: Stack) -> Iterator[None]:
        os.kill(find(stack, part)[0], signal.SIGKILL)
        yield

    return fault


def frozen(part: Callable[[str], bool]) -> Fault:
    """A part that hangs for a while."""

    @contextmanager
    def fault(stack: Stack) -> Iterator[None]:
        pid = find(stack, part)[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return fault


@contextmanager
def full_disk(stack: Stack) -> Iterator[None]:
    """Nothing that the gateway writes to a file goes through: the bound on a file's size stands for a full disk."""
    pid, whole = find(stack, gateway)[0], resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, whole))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (whole, whole))


@contextmanager
def full_redis(stack: Stack) -> Iterator[None]:
    """Redis refuses whatever takes memory."""
    with find_redis_url(stack) as redis:
        memory = redis.config_get("maxmemory")["maxmemory"]  # type: ignore[index]
        redis.config_set("maxmemory", "1")
        try:
            yield
        finally:
            redis.config_set("maxmemory", memory)


@contextmanager
def emptied_redis(stack: Stack) -> Iterator[None]:
    """Redis loses everything; afterwards the past is loaded again, as docs/runbook.md says."""
    with find_redis_url(stack) as redis:
        redis.flushall()
    yield
    stack.fraud("history", "load", "--simulator")


@contextmanager
def find_redis_url(stack: Stack) -> Iterator["Redis"]:
    """A connection to the stack's Valkey."""
    addresses = json.loads((stack.directory / "var" / "run" / "stack.json").read_text())
    with contextlib.closing(Redis.from_url(addresses["redis_url"])) as redis:
        yield redis


FAULTS = {
    "worker killed": killed(worker),
    "TorchServe killed": killed(jvm),
    "Valkey killed": killed(valkey),
    "gateway killed": killed(gateway),
    "worker frozen": frozen(worker),
    "TorchServe frozen": frozen(jvm),
    "Valkey frozen": frozen(valkey),
    "disk full": full_disk,
    "Redis full": full_redis,
    "Redis emptied": emptied_redis,
}


@pytest.fixture
def truth(stack: Stack, twin: Twin) -> ExpectedScores:
    """What version 1 makes of the load's transactions with their whole history."""
    wait_for(lambda: "degraded" not in stack.upload(twin.csv, QUERY).json())
    thresholds = stack.client.get("/v1/contract").json()["decision_thresholds"]
    probabilities = [row["fraud_probability"] for row in stack.upload(twin.csv, QUERY).json()["predictions"]]
    return ExpectedScores(1, probabilities, **thresholds)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_each_answer_is_what_it_says_it_is(stack: Stack, twin: Twin, truth: ExpectedScores, fault: Fault) -> None:
    """Before, under and after a fault: right, degraded and saying so, or refused for our own sake; never in silence."""
    with Load(stack.url, twin.csv, RATE, query=QUERY, in_flight=IN_FLIGHT) as load:
        wait_for(lambda: len(load.answers) >= STEADY)
        with fault(stack):
            seen = len(load.answers)
            wait_for(lambda: len(load.answers) >= seen + UNDER_FAULT)
        wait_for(lambda: whole(load.answers[-STEADY:]), explain=lambda: str(load.answers[-1:]))
    assert faults(load.answers, truth) == []
    assert contradictions(load.answers, logged(log_lines(stack), load.prefix)) == []


def test_an_emptied_redis_shows_in_these_answers(stack: Stack, twin: Twin, truth: ExpectedScores) -> None:
    """The load's transactions have a history that matters: an answer that lacks it in silence would be found."""
    with emptied_redis(stack):
        wait_for(lambda: "degraded" in stack.upload(twin.csv, QUERY).json())
        rows = stack.upload(twin.csv, QUERY).json()["predictions"]
    assert [row["fraud_probability"] for row in rows] != pytest.approx(truth.probabilities, abs=1e-6)


CLOCK = """
import os, time
true = time.time
time.time = lambda: true() + float(os.environ["CLOCK_SHIFT"])
"""
"""What makes Python's clock wrong: the interpreter imports it at its start, under the name sitecustomize."""


@pytest.mark.parametrize("days", [40, -40])
def test_a_gateway_whose_clock_is_wrong_scores_as_the_others_do(
    stack: Stack, twin: Twin, truth: ExpectedScores, tmp_path: Path, days: int
) -> None:
    """A clock that is forty days ahead or behind changes no score, and no answer is degraded for it."""
    with another_gateway(stack, tmp_path, days * 86_400) as client:
        wait_for(lambda: is_ready(client))
        answer = client.post(f"/upload{QUERY}", files={"file": ("t.csv", twin.csv)}).json()
    assert "degraded" not in answer
    assert [row["fraud_probability"] for row in answer["predictions"]] == pytest.approx(truth.probabilities, abs=1e-6)


@contextmanager
def another_gateway(stack: Stack, directory: Path, clock_shift: int) -> Iterator[httpx.Client]:
    """A second gateway beside the stack's, over the same TorchServe and Valkey, with a clock that is wrong."""
    (directory / "sitecustomize.py").write_text(CLOCK)
    addresses = json.loads((stack.directory / "var" / "run" / "stack.json").read_text())
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(directory),
        "CLOCK_SHIFT": str(clock_shift),
        "PORT": str(port),
        "API_KEY": KEY,
        "MODEL_SERVER_URL": addresses["inference_url"],
        "REDIS_URL": addresses["redis_url"],
        "HISTORY_KEY_FILE": str(stack.directory / "var" / "history.key"),
        "RELEASE_RECORD": str(stack.directory / "model_store" / "release.json"),
    }
    with (directory / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"], cwd=directory, env=environment, stdout=log, stderr=log
        )
    try:
        headers = {"X-API-Key": KEY}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30, trust_env=False) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def is_ready(client: httpx.Client) -> bool:
    """Whether a gateway says that it can score."""
    with contextlib.suppress(httpx.TransportError):
        return client.get("/readyz").is_success
    return False


def whole(answers: list[LoadResponse]) -> bool:
    """Whether these are good, and none lacks its history."""
    return all(answer.status == OK and not degraded(answer.body) for answer in answers)


def log_lines(stack: Stack) -> list[str]:
    """The gateway's log, but for a line that a killed gateway left half-written."""
    lines = (Path(stack.directory) / "var" / "log" / "gateway.jsonl").read_text().splitlines()
    return [line for line in lines if line.startswith("{") and line.endswith("}")]

"""One worker of several ends or hangs: its caller does not notice."""

import json
import os
import signal

import pytest

from benchmarks.load import Load, failed
from benchmarks.worker_kills import kill_worker, ready_workers
from tests.system.conftest import IN_FLIGHT, Stack, Twin, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

RATE = 20
MOST_SECONDS = 8.0
"""Below the gateway's deadline of 10 s: a worker that hangs is given up after a quarter of it."""


@pytest.fixture
def management_url(stack: Stack) -> str:
    """Where TorchServe's management listens."""
    return str(json.loads((stack.directory / "var" / "run" / "stack.json").read_text())["management_url"])


def test_a_killed_worker_costs_no_request(stack: Stack, twin: Twin, management_url: str) -> None:
    """Three times in a row a worker is killed under load; each request is answered, by the live version."""
    wait_for(lambda: len(ready_workers(management_url, 1)) > 1)
    with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
        for _ in range(3):
            kill_worker(management_url, 1)
    assert failed(load.answers) == []
    assert {answer.version for answer in load.answers} == {1}


def test_a_frozen_worker_costs_no_request(stack: Stack, twin: Twin, management_url: str) -> None:
    """A worker that hangs is given up well before the deadline, and another one scores the rows."""
    wait_for(lambda: len(ready_workers(management_url, 1)) > 1)
    frozen = ready_workers(management_url, 1)[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
            wait_for(lambda: len(load.answers) > 5 * RATE)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert failed(load.answers) == []
    assert max(answer.ended - answer.started for answer in load.answers) < MOST_SECONDS

"""What one of several processes says of all; the other one is what stands in its file."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from gateway.api.joint_health import JointHealth
from gateway.app import create_app
from gateway.http.problems import Draining, NoModel, Problem
from gateway.metrics import Metrics
from gateway.processes.states import ProcessState, ProcessStates
from gateway.settings import GatewaySettings
from tests.gateway.waiting import until
from tests.tiny import TinyServer

OTHER = ProcessState(2, listening=True, ready=True, version=1, recorded_version=1, trial=None)
TRIAL = {"version": 2, "kind": "canary", "share": 0.5, "status": "running", "reason": None}
Say = Callable[[ProcessState], None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where they tell each other."""
    (tmp_path / "states").mkdir()
    return tmp_path / "states"


@pytest.fixture
def say(directory: Path) -> Say:
    """What the other process says."""
    return lambda state: asyncio.run(ProcessStates(directory, 2).write(state))


@pytest.fixture
def client(settings: GatewaySettings, model_server: TinyServer, directory: Path) -> Iterator[TestClient]:
    """The first of two processes, once it is ready."""
    app = create_app(settings, transport=model_server, states=ProcessStates(directory, 1))
    with ExitStack() as stack:
        client = stack.enter_context(TestClient(app, headers={"X-API-Key": "test-key"}))
        until(lambda: client.get("/readyz").status_code == httpx.codes.OK)
        yield client


def parts(client: TestClient) -> dict[str, Any]:
    """The parts of /health."""
    return dict(client.get("/health").json()["components"])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (OTHER, 1),
        (replace(OTHER, version=2), None),
        (replace(OTHER, version=None), None),
        (replace(OTHER, listening=False, version=None), 1),
        (replace(OTHER, listening=False, version=None, recorded_version=2), None),
        (replace(OTHER, listening=False, version=None, recorded_version=None), None),
        (replace(OTHER, listening=False, version=2), None),
    ],
)
def test_a_version_is_shown_that_all_answer_with(
    client: TestClient, say: Say, other: ProcessState, expected: int | None
) -> None:
    """One that is being started counts by what it will begin with; where that is not known there is none."""
    say(other)
    assert parts(client)["model"]["version"] == expected
    assert [each["process"] for each in parts(client)["processes"]] == [1, 2]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (OTHER, None),
        (replace(OTHER, listening=False, ready=False, version=None), None),
        (replace(OTHER, ready=False, version=None), "urn:fraud-detection:process_not_ready"),
    ],
)
def test_ready_is_who_takes_requests_and_can_score(
    client: TestClient, say: Say, other: ProcessState, reason: str | None
) -> None:
    """One that is being started takes none, and does not take readiness from the other."""
    say(other)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json().get("type")) == ((503, reason) if reason else (200, None))


def test_a_trial_that_not_all_run_is_paused(client: TestClient, say: Say) -> None:
    """So a release that began it waits, and a person sees why; one that takes no requests does not count."""
    say(replace(OTHER, trial=TRIAL))
    assert parts(client)["trial"] == {**TRIAL, "status": "paused", "reason": "processes_differ"}
    say(replace(OTHER, trial=TRIAL, listening=False))
    assert parts(client)["trial"] is None


class _Health:
    """The health of one process, as a test has it."""

    def __init__(self, problem: Problem | None) -> None:
        self.problem = problem
        self.has_been_ready = False

    async def unready(self) -> Problem | None:
        return self.problem

    def model_state(self) -> dict[str, Any]:
        return {"version": None, "recorded_version": 1}

    def trial_fields(self) -> None:
        return None


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [None, Draining()])
async def test_one_that_starts_takes_requests_when_it_can_score_them(tmp_path: Path, answer: Problem | None) -> None:
    """While another does so; or when it is told to end, which it does as one that listens."""
    await ProcessStates(tmp_path, 2).write(OTHER)
    own, states = _Health(NoModel()), ProcessStates(tmp_path, 1)
    listening = asyncio.create_task(JointHealth(own, states, Metrics()).listen())  # type: ignore[arg-type] # all it asks
    done, _ = await asyncio.wait([listening], timeout=0.2)
    assert not done
    own.problem = answer
    await asyncio.wait_for(listening, 30)
    assert [state.listening for state in ProcessStates(tmp_path).others()] == [True, True]


@pytest.mark.anyio
async def test_one_that_starts_beside_none_takes_requests_at_once(tmp_path: Path) -> None:
    """So the first callers are told what is not there yet."""
    await ProcessStates(tmp_path, 2).write(replace(OTHER, ready=False))
    await JointHealth(_Health(NoModel()), ProcessStates(tmp_path, 1), Metrics()).listen()  # type: ignore[arg-type]

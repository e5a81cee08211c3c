"""A canary that hangs costs a few requests a second, once."""

import asyncio
import csv
import io
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.models import model_tracker as live
from gateway.trial import canary_calls
from tests.gateway.trials import CANARY, IDS, ON_TRIAL, TrialGateway, expected, rows, versions
from tests.gateway.waiting import until
from tests.tiny import TinyServer, write_version

MAX_WAITING = 2
"""Half of the upload slots that the test gives."""


class Meeting(TinyServer):
    """Answers version 2 when so many requests to it are there as the meeting wants."""

    meeting: asyncio.Barrier | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.meeting and request.url.path.endswith("/2"):
            await self.meeting.wait()
        return await super().handle_async_request(request)


@pytest.fixture
def model_server(tmp_path: Path) -> Meeting:
    """Holds version 1."""
    server = Meeting()
    server.serve(write_version(tmp_path / "v1"))
    return server


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Callers."""
    with ThreadPoolExecutor(30) as threads:
        yield threads


@pytest.fixture
def gateway(trial_gateway: TrialGateway, monkeypatch: pytest.MonkeyPatch) -> TrialGateway:
    """A canary that hangs, and for which a few requests wait three seconds, others as good as not."""
    monkeypatch.setattr(canary_calls, "CANARY_TIMEOUT_SECONDS", 60.0)
    monkeypatch.setattr(canary_calls, "OVERLOAD_TIMEOUT_SECONDS", 0.01)
    return trial_gateway


def waiting(trial_gateway: TrialGateway, threads: ThreadPoolExecutor, requests: int) -> list[Future[dict[str, Any]]]:
    """Requests that wait for the canary when this returns."""
    before = trial_gateway.model_server.asked[2]
    futures = [threads.submit(trial_gateway.upload, rows(sorted(ON_TRIAL))) for _ in range(requests)]
    until(
        lambda: (
            trial_gateway.client.get("/livez").is_success and trial_gateway.model_server.asked[2] == before + requests
        )
    )
    return futures


def test_a_hanging_canary_causes_no_refusal(trial_gateway: TrialGateway, threads: ThreadPoolExecutor) -> None:
    """Of many callers at once each is answered by the live version; once it is known to hang, nobody asks it."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.hanging.add(2)
    answers = list(threads.map(trial_gateway.upload, [rows()] * 30))
    trial_gateway.until_status("paused")
    before = scoring_requests(trial_gateway)
    answers += threads.map(trial_gateway.upload, [rows()] * 60)
    assert scoring_requests(trial_gateway) == before
    assert [versions(answer) for answer in answers] == [expected(set())] * 90


def scoring_requests(trial_gateway: TrialGateway) -> list[str]:
    """What the metrics say of requests to the canary; proofs of it are not among them."""
    lines = trial_gateway.client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("model_requests_total") and 'model_version="2"' in line]


def test_a_hanging_canary_is_given_up_for_the_live_version(trial_gateway: TrialGateway) -> None:
    """It has a second, and failed."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.hanging.add(2)
    started = time.monotonic()
    assert versions(trial_gateway.upload(rows())) == expected(set())
    assert time.monotonic() - started >= canary_calls.CANARY_TIMEOUT_SECONDS
    assert trial_gateway.wait_for_count(CANARY, "trial:errors")["dropped"] == 0


def test_a_short_deadline_is_halved(gateway: TrialGateway) -> None:
    """However patient with the canary, half of the time is left for the live version."""
    # The other half, 50 ms of work, was 2 s once, and too short on two processors with eight programs to run.
    gateway.start(CANARY, deadline_seconds=12)
    gateway.model_server.hanging.add(2)
    started = time.monotonic()
    assert versions(gateway.upload(rows())) == expected(set())
    assert time.monotonic() - started >= 6


def test_few_wait_for_a_hanging_canary(gateway: TrialGateway, threads: ThreadPoolExecutor) -> None:
    """The rows of others are the live version's soon, and counted as dropped; none is quarantined."""
    gateway.start(CANARY, deadline_seconds=6, upload_slots=2 * MAX_WAITING)
    gateway.model_server.hanging.add(2)
    held = waiting(gateway, threads, MAX_WAITING)
    assert versions(gateway.upload(rows())) == expected(set())
    assert (gateway.state()["status"], [future.done() for future in held]) == ("running", [False] * MAX_WAITING)
    assert gateway.wait_for_count(CANARY, "dropped")["dropped"] == len(ON_TRIAL)


def test_many_may_ask_a_canary_that_answers(
    trial_gateway: TrialGateway, model_server: Meeting, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only slowness makes a crowd: of many requests at a time each has the canary's scores."""
    monkeypatch.setattr(canary_calls, "OVERLOAD_TIMEOUT_SECONDS", 60.0)
    monkeypatch.setattr(canary_calls, "CANARY_TIMEOUT_SECONDS", 60.0)
    client = trial_gateway.start(CANARY, model_server_connections=8)
    model_server.meeting = asyncio.Barrier(8)
    objects = [{**each, "amount": float(each["amount"]), "age": 30} for each in csv.DictReader(io.StringIO(rows()))]
    answers = list(threads.map(lambda _: client.post("/v1/score", json=objects).json(), range(8)))
    assert [versions(answer) for answer in answers] == [expected(ON_TRIAL)] * 8


def test_a_hanging_canary_holds_none_of_the_live_version_s_connections(
    gateway: TrialGateway, threads: ThreadPoolExecutor
) -> None:
    """While a canary holds all the connections that it may, others are answered at once, and readiness is known."""
    client = gateway.start(CANARY, deadline_seconds=6, model_server_connections=1)
    gateway.model_server.hanging.add(2)
    (held,) = waiting(gateway, threads, 1)
    gateway.upload(rows([each for each in IDS if each not in ON_TRIAL]))
    assert client.get("/readyz").status_code == 200
    assert not held.done()


def test_a_trial_that_hangs_pauses_until_it_answers(
    trial_gateway: TrialGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one request that waited no other does; each new proof that fails counts, so that the watch sees it."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.hanging.add(2)
    with monkeypatch.context() as patched:
        patched.setattr(live, "PROOF_TIMEOUT_SECONDS", 0.05)
        trial_gateway.upload(rows())
        assert (trial_gateway.state()["status"], trial_gateway.state()["reason"]) == ("paused", "not_adopted")
        counts = trial_gateway.wait_for_count(CANARY, "trial:errors", 3)
    assert counts["trial:requests"] == counts["trial:errors"]
    assert versions(trial_gateway.upload(rows())) == expected(set())
    trial_gateway.model_server.hanging.clear()
    trial_gateway.until_status("running")
    assert versions(trial_gateway.upload(rows())) == expected(ON_TRIAL)


@pytest.mark.parametrize("status", [404, 503])
def test_a_version_that_is_not_loaded_is_not_quarantined(trial_gateway: TrialGateway, status: int) -> None:
    """What TorchServe answers while it loads a version pauses nothing, and the trial goes on when it is loaded."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.failing[2] = httpx.Response(status)
    assert versions(trial_gateway.upload(rows())) == expected(set())
    assert trial_gateway.state()["status"] == "running"
    trial_gateway.model_server.failing.clear()
    assert versions(trial_gateway.upload(rows())) == expected(ON_TRIAL)


@pytest.mark.parametrize("status", [404, 503])
def test_a_quarantined_version_that_is_loaded_again_resumes(trial_gateway: TrialGateway, status: int) -> None:
    """A version that was quarantined, and then not there, is proven again when it is."""
    trial_gateway.start(CANARY)
    trial_gateway.model_server.failing[2] = httpx.Response(200, content=b"wrong")
    trial_gateway.upload(rows())
    trial_gateway.model_server.failing[2] = httpx.Response(status)
    trial_gateway.wait_for_count(CANARY, "trial:errors", 4)
    assert trial_gateway.state()["reason"] == "not_adopted"
    trial_gateway.model_server.failing.clear()
    trial_gateway.until_status("running")
    assert versions(trial_gateway.upload(rows())) == expected(ON_TRIAL)

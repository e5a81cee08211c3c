"""The keeper's pages, over real sockets."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from operations.errors import OperationsError
from operations.keeper import pages as module
from operations.keeper.pages import Pages, served
from operations.keeper.status import KeeperStatus
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.version_loader import ReconcileResult
from releases.record import Release
from tests.operations.reconciler_scenario import canary


@dataclass
class Site:
    """Pages that are served."""

    target: DeploymentTarget
    status: KeeperStatus
    message: list[str]
    url: str = ""
    has_defect: bool = False

    def get(self, path: str) -> httpx.Response:
        """One page."""
        return httpx.get(self.url + path, trust_env=False, timeout=30)

    def metrics(self) -> bytes:
        """Those of the jobs."""
        if self.has_defect:
            raise KeyError("a secret")
        return b"# TYPE fraud_job_last_exit_code gauge\n"

    def raw(self, sent: bytes) -> bytes:
        """What comes back for some bytes, until the keeper closes."""
        with socket.create_connection(("127.0.0.1", httpx.URL(self.url).port or 0), 30) as connection:
            connection.settimeout(30)
            connection.sendall(sent)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer


@pytest.fixture
def site(target: DeploymentTarget, log_lines: list[str]) -> Iterator[Site]:
    """Nothing is released, and one server is there."""
    status = KeeperStatus(target.store)
    status.add_server("http://there:8081")
    site = Site(target, status, log_lines)
    found = Pages(status, target.store, site.metrics)
    with served("127.0.0.1", 0, found) as url:
        site.url = url
        yield site


def write(site: Site, record: Release) -> bytes:
    """Puts a release record in place; its bytes."""
    site.target.record_path.write_bytes(record.to_bytes())
    return record.to_bytes()


def test_it_is_alive_while_its_rounds_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stuck says why, and is started again by whoever asks."""
    assert site.get("/livez").status_code == 200
    monkeypatch.setattr("operations.keeper.status.MAX_LOOP_STALL", -1.0)
    stall_reason = site.get("/livez")
    assert (stall_reason.status_code, stall_reason.headers["content-type"]) == (503, "application/problem+json")
    assert "stood still" in stall_reason.json()["detail"]


def test_it_is_ready_when_the_live_version_is_loaded(site: Site) -> None:
    """Before that it says what is lacking."""
    assert site.get("/readyz").json()["detail"] == "nothing is released yet"
    write(site, Release(2, 1, "2026-01-01T00:00:00+00:00"))
    assert "version 2 at http://there:8081" in site.get("/readyz").json()["detail"]
    site.status.update_server("http://there:8081", ReconcileResult.HEALTHY)
    assert site.get("/readyz").status_code == 200


def test_metrics_say_what_is_live(site: Site) -> None:
    """Versions, servers, the last look, and the metrics of the jobs after them."""
    write(site, Release(2, 1, "2026-01-01T00:00:00+00:00", canary(3)))
    site.status.update_server("http://there:8081", ReconcileResult.HEALTHY)
    answer = site.get("/metrics")
    values = {each.name: each.samples[0].value for each in text_string_to_metric_families(answer.text) if each.samples}
    assert time.time() - 60 < values.pop("fraud_keeper_last_look_timestamp_seconds") <= time.time()
    names = ("live_version", "trial_version", "servers", "servers_whole")
    assert values == dict(zip((f"fraud_keeper_{name}" for name in names), (2, 3, 1, 1), strict=True))
    assert answer.text.endswith("# TYPE fraud_job_last_exit_code gauge\n")


def test_the_record_is_served_byte_for_byte(site: Site) -> None:
    """A gateway without the disk reads it here; nobody on the way may keep it."""
    assert site.get("/release.json").status_code == 404
    written = write(site, Release(2, 1, "2026-01-01T00:00:00+00:00"))
    answer = site.get("/release.json?x=1")
    assert (answer.content, answer.headers["cache-control"]) == (written, "no-store")
    assert answer.headers["content-type"] == "application/json"


def test_what_is_no_page_is_told(site: Site) -> None:
    """As problem+json, and nothing of the request is in the answer."""
    answer = site.get("/secret")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert "secret" not in answer.text
    for method in ("POST", "DELETE"):
        refused = httpx.request(method, f"{site.url}/release.json", trust_env=False)
        assert (refused.status_code, refused.headers["content-type"]) == (501, "application/problem+json")


def test_a_caller_who_goes_is_no_defect(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is reset is nothing to report."""
    handled, handle = threading.Event(), module._Server.handle_error

    def also(server: module._Server, *of: object) -> None:
        handle(server, *of)
        handled.set()

    monkeypatch.setattr(module._Server, "handle_error", also)
    with socket.create_connection(("127.0.0.1", httpx.URL(site.url).port or 0), 30) as connection:
        connection.sendall(b"GET")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert handled.wait(30)
    assert site.message == []


def test_a_defect_is_said_once(site: Site) -> None:
    """By its class and place, however often a probe meets it, and nothing that it was about."""
    site.has_defect = True
    for _ in range(2):
        assert site.raw(b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    (message,) = site.message
    assert message.startswith("a defect, please report it: KeyError in test_pages.py:")
    assert "secret" not in message


def test_a_request_without_end_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many bytes nor much time hold a connection: whoever sends a byte now and then is cut off too."""
    assert site.raw(b"GET /" + b"x" * module.MOST_BYTES) == b""
    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    assert site.raw(b"GET /livez HTTP/1.1\r\n") == b""
    assert site.get("/livez").status_code == 200
    assert site.message == []


def test_connections_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once, and there is room again when others have ended."""
    port = httpx.URL(site.url).port or 0
    held = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(module.MOST_CONNECTIONS)]
    for each in held:
        each.sendall(b"GET")
    with pytest.raises(httpx.HTTPError):
        site.get("/livez")
    for each in held:
        each.close()
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            assert site.get("/livez").status_code == 200
        except httpx.HTTPError:
            continue
        return
    pytest.fail("the connections were not let go")


def test_a_port_that_is_taken_is_told(site: Site) -> None:
    """One line names the settings."""
    port = httpx.URL(site.url).port or 0
    with (
        pytest.raises(OperationsError, match=f"cannot listen on KEEPER_HOST=127.0.0.1, KEEPER_PORT={port}"),
        served("127.0.0.1", port, Pages(site.status, site.target.store, bytes)),
    ):
        pass


def test_a_problem_is_json(site: Site) -> None:
    """Type, title and status, as RFC 9457 has it."""
    body = json.loads(site.raw(b"nonsense\r\n\r\n").partition(b"\r\n\r\n")[2] or b"{}")
    assert body in ({}, {"type": "about:blank", "title": "Bad Request", "status": 400})

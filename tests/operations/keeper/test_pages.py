"""The keeper's pages, over real sockets."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from operations.errors import OperationsError
from operations.files.durable import Busy
from operations.jobs.crontab import UnknownJob
from operations.keeper import pages as module
from operations.keeper.observed import Observed
from operations.keeper.pages import Jobs, Pages, served
from operations.rollout.keeping import Found
from operations.rollout.loading import Place
from releases.record import Release
from tests.operations.stage import canary

KEY = b"a-key"


@dataclass
class Site:
    """Pages that are served, and jobs in the test's hand."""

    place: Place
    observed: Observed
    url: str = ""
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    has_defect: bool = False
    go: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def get(self, path: str) -> httpx.Response:
        """One page."""
        return httpx.get(self.url + path, trust_env=False, timeout=30)

    def post(self, path: str, key: bytes = KEY) -> httpx.Response:
        """One job."""
        return httpx.post(self.url + path, headers={b"X-Jobs-Key": key}, trust_env=False, timeout=30)

    def metrics(self) -> bytes:
        """Those of the jobs."""
        if self.has_defect:
            raise KeyError("a secret")
        return b"# TYPE fraud_job_last_exit_code gauge\n"

    def run(self, job: str, write: Callable[[str], None]) -> int:
        """`backup` says two lines, the second when the test lets it; `check` runs already; others are unknown."""
        if job == "check":
            raise Busy("fraud check runs already")
        if job != "backup":
            raise UnknownJob("no such job is scheduled")
        self.asked.append(job)
        write("begins")
        self.go.wait(30)
        write("ends: 1 été")
        self.ended.set()
        return 0

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
def site(place: Place) -> Iterator[Site]:
    """Nothing is released, and one server is there."""
    observed = Observed(place.registry.root)
    observed.begin("http://there:8081")
    site = Site(place, observed)
    found = Pages(observed, place.registry.root, site.metrics)
    with served("127.0.0.1", 0, found, Jobs("a-key", site.run), site.said.append) as url:
        site.url = url
        yield site
    site.go.set()


def write(site: Site, record: Release) -> bytes:
    """Puts a release record in place; its bytes."""
    site.place.record.write_bytes(record.to_bytes())
    return record.to_bytes()


def test_it_is_alive_while_its_rounds_turn(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stuck says why, and is started again by whoever asks."""
    assert site.get("/livez").status_code == 200
    monkeypatch.setattr("operations.keeper.observed.LONGEST_STANDSTILL", -1.0)
    stuck = site.get("/livez")
    assert (stuck.status_code, stuck.headers["content-type"]) == (503, "application/problem+json")
    assert "stood still" in stuck.json()["detail"]


def test_it_is_ready_when_the_live_version_is_loaded(site: Site) -> None:
    """Before that it says what is lacking."""
    assert site.get("/readyz").json()["detail"] == "nothing is released yet"
    write(site, Release(2, 1, "2026-01-01T00:00:00+00:00"))
    assert "version 2 at http://there:8081" in site.get("/readyz").json()["detail"]
    site.observed.see("http://there:8081", Found.WHOLE)
    assert site.get("/readyz").status_code == 200


def test_metrics_say_what_is_live(site: Site) -> None:
    """Versions, servers, the last look, and the metrics of the jobs after them."""
    write(site, Release(2, 1, "2026-01-01T00:00:00+00:00", canary(3)))
    site.observed.see("http://there:8081", Found.WHOLE)
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
    for answer in (site.get("/secret"), site.post("/secret"), site.post("/release.json")):
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
        assert "secret" not in answer.text
    deleted = httpx.delete(f"{site.url}/release.json", trust_env=False)
    assert (deleted.status_code, deleted.headers["content-type"]) == (501, "application/problem+json")


def test_a_job_is_followed_line_by_line(site: Site) -> None:
    """The caller sees the first line while the job runs, and the exit code at last."""
    with httpx.stream(
        "POST", f"{site.url}/jobs/backup", headers={b"X-Jobs-Key": KEY}, trust_env=False, timeout=30
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "begins"
        site.go.set()
        assert list(lines) == ["ends: 1 été", "exit 0"]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert site.asked == ["backup"]


def test_a_caller_who_goes_does_not_end_the_job(site: Site) -> None:
    """A connection that is lost half way loses the output alone."""
    with httpx.stream(
        "POST", f"{site.url}/jobs/backup", headers={b"X-Jobs-Key": KEY}, trust_env=False, timeout=30
    ) as answer:
        assert next(answer.iter_lines()) == "begins"
    site.go.set()
    assert site.ended.wait(30)


@pytest.mark.parametrize("key", [b"", b"a-ke", b"a-key2", b"\xc3\xa9\xff"])
def test_a_job_needs_the_key(site: Site, key: bytes) -> None:
    """Without it nothing starts, and nobody learns which jobs there are."""
    for job in ("backup", "check", "other"):
        assert site.post(f"/jobs/{job}", key).status_code == 401
    assert site.asked == []


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
    assert site.said == []


def test_a_defect_is_said_once(site: Site) -> None:
    """By its class and place, however often a probe meets it, and nothing that it was about."""
    site.has_defect = True
    for _ in range(2):
        assert site.raw(b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    (said,) = site.said
    assert said.startswith("a defect, please report it: KeyError in test_pages.py:")
    assert "secret" not in said


@pytest.mark.parametrize(("job", "status"), [("other", 404), ("", 404), ("../backup", 404), ("check", 409)])
def test_a_job_that_is_refused_is_a_problem(site: Site, job: str, status: int) -> None:
    """One that is unknown, or runs already."""
    answer = site.post(f"/jobs/{job}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_without_a_key_there_are_no_jobs(place: Place) -> None:
    """A keeper that was given none runs none for others, not even for an empty key."""
    jobs = Jobs(None, lambda *_: pytest.fail("it ran"))
    assert {jobs.post("/jobs/backup", key).status for key in ("", "None", "a-key")} == {404}


def test_a_body_is_read_and_left(site: Site) -> None:
    """Some clients send one; a large one is refused."""
    site.go.set()
    sent = httpx.post(f"{site.url}/jobs/backup", headers={b"X-Jobs-Key": KEY}, content=b"x" * 100, trust_env=False)
    assert sent.text.splitlines()[-1] == "exit 0"
    assert b" 413 " in site.raw(b"POST /jobs/backup HTTP/1.1\r\nContent-Length: 999999\r\n\r\n").splitlines()[0]
    for length in (b"-1", b"1" * 5000):  # More digits than Python reads as a number.
        answer = site.raw(b"POST /jobs/backup HTTP/1.1\r\nContent-Length: %s\r\n\r\n" % length)
        assert b" 413 " in answer.splitlines()[0]
    assert site.said == []


def test_a_request_without_end_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many bytes nor much time hold a connection: whoever sends a byte now and then is cut off too."""
    assert site.raw(b"GET /" + b"x" * module.MOST_BYTES) == b""
    monkeypatch.setattr(module, "READ_SECONDS", 0.2)
    assert site.raw(b"GET /livez HTTP/1.1\r\n") == b""
    assert site.get("/livez").status_code == 200
    assert site.said == []


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
        served("127.0.0.1", port, Pages(site.observed, site.place.registry.root, bytes), Jobs(None, site.run), print),
    ):
        pass


def test_a_problem_is_json(site: Site) -> None:
    """Type, title and status, as RFC 9457 has it."""
    body = json.loads(site.raw(b"nonsense\r\n\r\n").partition(b"\r\n\r\n")[2] or b"{}")
    assert body in ({}, {"type": "about:blank", "title": "Bad Request", "status": 400})

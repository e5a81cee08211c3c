"""The audit: what is known is told, and what is not known is never taken for good news."""

import datetime
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from locks import audit, pins
from locks.audit import Exemption, Findings
from locks.pins import LockError, Pin

TODAY = datetime.date(2026, 11, 23)
OLD = Pin("urllib3", "1.26.0", None, ("0",))
NEW = Pin("urllib3", "2.8.0", None, ("0",))
FLAW = {"id": "PYSEC-2021-108", "aliases": ["CVE-2021-33503"], "summary": "A slow pattern", "fixed_in": ["1.26.5"]}
KNOWN = {"id": "PYSEC-2019-217", "aliases": [audit.KNOWN_ADVISORY], "fixed_in": ["2.10.1"], "link": "https://osv.dev"}


class Service:
    """A package index on a free port that answers as PyPI's JSON API does, from what a test puts into it."""

    def __init__(self) -> None:
        self.advisories: dict[tuple[str, str], Any] = {("jinja2", "2.10"): [KNOWN]}
        self.replies: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.asked = set[tuple[str, str]]()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, name, version, _ = self.path.split("/")
                service.asked.add((name, version))
                status, body = service.replies.get((name, version)) or (200, service.page(name, version))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def page(self, name: str, version: str) -> bytes:
        """What PyPI says of a release, less what nobody here reads."""
        found = self.advisories.get((name, version), [])
        return json.dumps({"info": {"name": name, "version": version}, "urls": [], "vulnerabilities": found}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    """A service with advisories, and none against anything but the witness."""
    service = Service()
    thread = Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


def reasons(wanted: list[Pin], service: str, *exemptions: Exemption) -> list[str]:
    """Why an audit of these packages fails."""
    return list(audit.problems(audit.ask_all(wanted, service), list(exemptions), TODAY))


def exemption(**changes: str) -> Exemption:
    """The flaw of urllib3, accepted until next year."""
    fields = {"package": "urllib3", "id": FLAW["id"], "reason": "No such address is read.", "expires": "2027-03-01"}
    return Exemption.model_validate(fields | changes)


def test_packages_that_nothing_is_known_against_pass(service: Service) -> None:
    """A service that carries advisories and has none for a package is good news."""
    assert reasons([NEW], service.url) == []


def test_a_known_advisory_is_reported_with_its_fix(service: Service) -> None:
    """A vulnerable version fails the audit, by its names and with the version that is without it."""
    service.advisories["urllib3", "1.26.0"] = [FLAW]
    (reason,) = reasons([OLD, NEW], service.url)
    assert reason == "urllib3 1.26.0: PYSEC-2021-108 CVE-2021-33503: A slow pattern (fixed in 1.26.5)"


def test_a_withdrawn_advisory_is_no_flaw(service: Service) -> None:
    """What its authors took back does not fail the audit."""
    service.advisories["urllib3", "1.26.0"] = [FLAW | {"withdrawn": "2022-01-01T00:00:00Z"}]
    assert reasons([OLD], service.url) == []


def test_without_a_network_nothing_is_checked(service: Service) -> None:
    """An address where nobody listens fails the audit for every package."""
    service.server.server_close()
    (reason,) = reasons([OLD, NEW], service.url)
    assert reason.startswith("not checked, 2 of 2 packages: the service was not reached (ConnectError)")


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (404, b"", "the service answered 404"),
        (503, b"", "the service answered 503"),
        (200, b"<html>Simple index</html>", "the answer does not speak of vulnerabilities"),
        (200, b'{"info": {"name": "urllib3", "version": "2.8.0"}}', "the answer does not speak of vulnerabilities"),
        (
            200,
            b'{"info": {"name": "urllib3", "version": "2.8.0"}, "vulnerabilities": null}',
            "the answer does not speak of vulnerabilities",
        ),
        (
            200,
            b'{"info": {"name": "urllib3", "version": "2.9.0"}, "vulnerabilities": []}',
            "the answer is about another package",
        ),
    ],
)
def test_a_package_without_an_answer_fails(service: Service, status: int, body: bytes, why: str) -> None:
    """One package of which the service says nothing fails the audit, and is named."""
    service.replies["urllib3", "2.8.0"] = (status, body)
    assert reasons([OLD, NEW], service.url) == [f"not checked, 1 of 2 packages: {why}: urllib3 2.8.0"]


def test_a_service_without_advisories_is_no_evidence(service: Service) -> None:
    """A mirror that answers for every package and knows of no flaw in any proves nothing."""
    service.advisories.clear()
    (reason,) = reasons([OLD, NEW], service.url)
    assert reason.startswith("not checked, 2 of 2 packages: the service does not know CVE-2019-10906")


def test_many_packages_without_an_answer_are_one_line(service: Service) -> None:
    """The same reason is told once, with three names and a number."""
    service.server.server_close()
    (reason,) = reasons([Pin(f"package{number}", "1", None, ("0",)) for number in range(5)], service.url)
    assert reason.endswith("package0 1, package1 1, package2 1 and 2 more")


@pytest.mark.parametrize("name", ["PYSEC-2021-108", "CVE-2021-33503"])
def test_an_accepted_flaw_passes(service: Service, name: str) -> None:
    """An advisory with a reason and a day is accepted, by any of its names."""
    service.advisories["urllib3", "1.26.0"] = [FLAW]
    assert reasons([OLD], service.url, exemption(id=name)) == []


def test_an_exception_is_of_one_package(service: Service) -> None:
    """The same advisory against another package fails the audit."""
    service.advisories["urllib3", "1.26.0"] = [FLAW]
    assert "urllib3 1.26.0: PYSEC-2021-108" in reasons([OLD], service.url, exemption(package="requests"))[0]


@pytest.mark.parametrize(("expires", "passes"), [("2026-11-23", True), ("2026-11-22", False)])
def test_an_exception_ends(service: Service, expires: str, passes: bool) -> None:
    """On its last day it still holds; the day after, the audit fails."""
    service.advisories["urllib3", "1.26.0"] = [FLAW]
    output = reasons([OLD], service.url, exemption(expires=expires))
    assert output == ([] if passes else [f"exception PYSEC-2021-108 of urllib3 expired on {expires}: {ADVICE}"])


ADVICE = "fix it or think it through again"


def test_an_exception_that_is_not_needed_fails(service: Service) -> None:
    """What nothing is known against any more must not stay accepted."""
    assert reasons([NEW], service.url, exemption()) == [
        "exception PYSEC-2021-108 of urllib3 is not needed any more: remove it"
    ]


def test_an_exception_is_not_called_needless_by_silence() -> None:
    """Where a package had no answer, nobody is told to remove what is accepted for it."""
    silent = Findings.of([(OLD, "the service answered 503")])
    assert list(audit.problems(silent, [exemption()], TODAY)) == [
        "not checked, 1 of 1 packages: the service answered 503: urllib3 1.26.0"
    ]


@pytest.mark.parametrize(
    "text", ['[[exception]]\npackage = "a"\nid = "b"\nexpires = 2027-01-01', "[[", 'ignore = ["a"]']
)
def test_an_exception_needs_a_reason(tmp_path: Path, text: str) -> None:
    """An entry without a reason, and a file that is something else, are refused."""
    file = tmp_path / "audit-exceptions.toml"
    file.write_text(text)
    with pytest.raises(LockError, match="audit-exceptions"):
        audit.read_exemptions(file)


def test_the_exceptions_of_this_repository_can_be_read() -> None:
    """The file that `make audit` reads is as it should be."""
    assert all(one.reason for one in audit.read_exemptions(pins.LOCKS / "audit-exceptions.toml"))


def test_every_package_of_every_lock_is_asked_about(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make audit` leaves nothing out: not torch, not a package for another system, not what only GPUs need."""
    monkeypatch.setenv("AUDIT_SERVICE", service.url)
    monkeypatch.setattr(audit, "read_exemptions", lambda _: [])  # Those of today are not needed for this service.
    assert audit.main() == 0
    wanted = {(pin.name, pin.version) for lock in pins.every_lock() for pin in pins.read(lock)}
    assert service.asked == wanted | {("jinja2", "2.10")}
    assert {"torch", "torchserve", "colorama", "nvidia-cublas"} <= {name for name, _ in service.asked}
    assert capsys.readouterr().out.startswith(f"{len(wanted)} packages of")


def test_the_audit_fails_offline(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make audit` ends with 1 where the service is not reached, and says so."""
    service.server.server_close()
    monkeypatch.setenv("AUDIT_SERVICE", service.url)
    assert audit.main() == 1
    assert "The audit failed.\n  not checked" in capsys.readouterr().err

"""Whether gateways, model servers and Redis answer: over real connections, but for TorchServe."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.jobs import inspections
from operations.jobs.inspections import CheckState, Finding, fault, good, unknown
from operations.network import addresses
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths
from operations.store.registry import Registry
from releases.record import Release
from tests import valkey
from tests.operations.fake_torchserve import FakeTorchServe


@dataclass
class Gateway:
    """What /readyz and /health answer."""

    version: object = 2
    status: int = 200
    body: bytes | None = None
    address: str = ""

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        if path == "/readyz":
            return self.status, b""
        health = {"components": {"model": {"version": self.version}}}
        return 200, json.dumps(health).encode() if self.body is None else self.body


@contextmanager
def serving(gateway: Gateway) -> Iterator[str]:
    """Its address while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = gateway.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gateway.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{gateway.address}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def store(paths: StatePaths) -> Path:
    """A model store of which version 2 is live."""
    paths.store.mkdir()
    record = Release(2, None, "2026-01-01T00:00:00+00:00")
    (paths.store / "release.json").write_bytes(record.to_bytes())
    return paths.store


def found(gateway: Gateway, store: Path) -> Finding:
    """The finding on one gateway, without waiting for it to mend."""
    with serving(gateway) as url:
        (finding,) = inspections.gateways(url, store, retry_seconds=0)
        return finding


def test_a_gateway_that_follows_is_well(store: Path) -> None:
    """It is ready, and serves the version that is live."""
    gateway = Gateway()
    assert found(gateway, store) == good(f"gateway {gateway.address} is ready and serves version 2")


@pytest.mark.parametrize(
    ("gateway", "text"),
    [
        (Gateway(status=503), "is not ready (/readyz answers 503)"),
        (Gateway(version=1), "serves version 1, and version 2 is live"),
        (Gateway(version=None), "serves version None, and version 2 is live"),
        (Gateway(body=b"<html>"), "does not answer as a gateway does (JSONDecodeError)"),
        (Gateway(body=b"[]"), "does not answer as a gateway does (TypeError)"),
        (Gateway(body=b"{}"), "does not answer as a gateway does (KeyError)"),
    ],
)
def test_a_gateway_that_does_not_is_a_fault(store: Path, gateway: Gateway, text: str) -> None:
    """What is wrong with it is said, by its address."""
    assert found(gateway, store) == fault(f"gateway {gateway.address} {text}")


def test_a_gateway_that_cannot_be_reached_is_a_fault(store: Path) -> None:
    """A password in its address is not shown."""
    (finding,) = inspections.gateways("http://user:s3cret@127.0.0.1:1", store, retry_seconds=0)
    assert finding == fault("gateway 127.0.0.1:1 does not answer as a gateway does (ConnectError)")


def test_each_gateway_behind_a_name_is_asked(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One finding for each address: a good one does not hide a bad one."""
    with serving(Gateway()) as url:
        port = url.rpartition(":")[2]
        monkeypatch.setattr(addresses.resolve_url, "__defaults__", (lambda *_: ["127.0.0.1", "127.0.0.99"],))
        findings = inspections.gateways(f"http://gateway:{port}", store, retry_seconds=0)
        states = [finding.state for finding in findings]
    assert states == [CheckState.GOOD, CheckState.FAULT]


def test_which_addresses_a_url_stands_for_is_said_in_one_place(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """operations/network/addresses.py decides it for https:// too, whose certificates are for a name."""
    monkeypatch.setattr(addresses, "resolve_url", lambda url: [f"{url}:1", f"{url}:2"])
    texts = [finding.text for finding in inspections.gateways("https://127.0.0.1", store, retry_seconds=0)]
    assert [text.split()[1] for text in texts] == ["127.0.0.1:1", "127.0.0.1:2"]


def test_a_gateway_that_follows_in_a_moment_is_well(store: Path) -> None:
    """A check in the middle of a release sees no fault."""
    gateway = Gateway(version=1)
    answers = iter([1, 1, 2])
    gateway.answer = lambda path: (200, b"") if path == "/readyz" else _health(next(answers))  # type: ignore[method-assign]
    with serving(gateway) as url:
        (finding,) = inspections.gateways(url, store, retry_seconds=30)
    assert finding.state is CheckState.GOOD


def _health(version: int) -> tuple[int, bytes]:
    return 200, json.dumps({"components": {"model": {"version": version}}}).encode()


def test_before_the_first_release_gateways_are_asked_all_the_same(paths: StatePaths) -> None:
    """Without a record the version that is served cannot be wrong."""
    assert found(Gateway(version=None, status=503), paths.store).state is CheckState.FAULT
    assert found(Gateway(version=7), paths.store).state is CheckState.GOOD


def test_what_is_not_configured_is_not_looked_at(paths: StatePaths) -> None:
    """Each says by which setting it would be."""
    assert list(inspections.gateways(None, paths.store)) == [unknown("the gateways (GATEWAY_URL is not set)")]
    (server,) = inspections.model_servers(None, paths.store)
    assert server.state is CheckState.UNKNOWN
    assert inspections.redis(None) == unknown("Redis (REDIS_URL is not set)")


@pytest.mark.parametrize("url", ["gateway:8000", "s3cret", "http://", "http://a:b:c"])
def test_an_address_that_is_none_is_an_error(paths: StatePaths, url: str) -> None:
    """It is told without what was written."""
    with pytest.raises(OperationsError, match="GATEWAY_URL is no http:// or https:// address"):
        list(inspections.gateways(url, paths.store, retry_seconds=0))


@pytest.mark.parametrize(
    ("states", "finding"),
    [
        (["READY", "READY"], good("2 of 2 workers of version 2, which is live, are ready")),
        (["READY", "UNLOADING"], fault("1 of 2 workers of version 2, which is live, are ready")),
        ([], fault("0 of 0 workers of version 2, which is live, are ready")),
        (None, fault("version 2, which is live, is not loaded")),
    ],
)
def test_all_workers_of_the_live_version_must_be_ready(
    store: Path, torchserve: FakeTorchServe, states: list[str] | None, finding: Finding
) -> None:
    """Other versions do not matter."""
    torchserve.registered = {1: ["READY"]} | ({2: states} if states is not None else {})
    running = DeploymentTarget(Registry(store), store / "verified", torchserve.server(), 2)
    assert list(inspections.model_servers(running, store, retry_seconds=0)) == [finding]


def test_each_model_server_is_asked(store: Path, torchserve: FakeTorchServe) -> None:
    """Of several, each is named by its address."""
    torchserve.registered = {2: ["READY"]}
    other = FakeTorchServe(down=True).server()
    running = DeploymentTarget(Registry(store), store / "verified", torchserve.server(), 1, others=(other,))
    first, second = inspections.model_servers(running, store, retry_seconds=0)
    assert first == good("1 of 1 workers of version 2, which is live, are ready on http://management")
    assert second.state is CheckState.FAULT


def test_redis_is_asked(tmp_path: Path) -> None:
    """A real one answers, and no longer when it is killed; its address is not shown."""
    with valkey.running(tmp_path) as database:
        assert inspections.redis(database.url) == good("Redis answers")
        database.kill()
        assert inspections.redis(database.url) == fault("Redis does not answer (ConnectionError)")
    assert inspections.redis("s3cret") == fault("Redis does not answer (ValueError)")

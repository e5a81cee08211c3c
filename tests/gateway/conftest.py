"""The real app over a real handler; only TorchServe's process is replaced, at the transport."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from pydantic import SecretStr
from starlette.testclient import TestClient

from gateway.app import create_app
from gateway.http.observation import CLIENT_GONE
from gateway.logs import configure
from gateway.metrics import Metrics
from gateway.models import trial_counts_writer
from gateway.settings import GatewaySettings
from releases.record import Release
from tests.gateway.trials import TrialGateway, Valkey
from tests.gateway.waiting import until
from tests.keys import HISTORY_KEY
from tests.tiny import TinyServer, write_version

KEY = "test-key"
AUTHORISED = {"X-API-Key": KEY}


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1."""
    server = TinyServer()
    server.serve(write_version(tmp_path / "v1"))
    return server


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    """Version 1 is live, since just now: nobody has been answered before."""
    record = tmp_path / "release.json"
    record.write_bytes(Release(1, None, datetime.now(UTC).isoformat()).to_bytes())
    return GatewaySettings(
        api_key=KEY,
        history_key=SecretStr(HISTORY_KEY),
        release_record=record,
        follow_seconds=0.01,
        deadline_seconds=5,
    )


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(settings: GatewaySettings, model_server: TinyServer) -> Iterator[Serve]:
    """Starts the app with some settings changed; ready when it returns, unless told not to wait."""
    clients: list[TestClient] = []

    def start(*, ready: bool = True, **changes: object) -> TestClient:
        app = create_app(settings.model_copy(update=changes), transport=model_server)
        client = TestClient(app, headers=AUTHORISED, raise_server_exceptions=False)
        clients.append(client.__enter__())
        if ready:
            until(lambda: client.get("/v1/contract").status_code == httpx.codes.OK)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    """A gateway as its settings have it."""
    return serve()


@pytest.fixture(autouse=True)
def log_lines(tmp_path: Path) -> Iterator[Path]:
    """A configured log file; the root logger is as before afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    file = tmp_path / "logs" / "gateway.jsonl"
    configure(file)
    yield file
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@cache
def documented() -> dict[str, Any]:
    """The operations of the OpenAPI document, by path and method."""
    paths: dict[str, Any] = create_app(GatewaySettings(api_key=KEY)).openapi()["paths"]
    return paths


@pytest.fixture(autouse=True)
def documented_statuses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test here makes a route answer, the document must know of it."""
    given, count = set[tuple[str, str, int]](), Metrics.request

    def noted(self: Metrics, method: str, route: str, status: int) -> None:
        given.add((route, method.lower(), status))
        count(self, method, route, status)

    monkeypatch.setattr(Metrics, "request", noted)
    yield
    for path, method, status in given:
        operation = documented().get(path, {}).get(method)
        assert not operation or status == CLIENT_GONE or str(status) in operation["responses"], (path, method, status)


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey of the test's own; a socket's name must be short, and a test's directory may not be."""
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    yield valkey
    valkey.kill()


@pytest.fixture
def trial_gateway(
    serve: Serve, model_server: TinyServer, tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> TrialGateway:
    """Version 2 on trial beside version 1, once it is started; counts are written often."""
    monkeypatch.setattr(trial_counts_writer, "WRITE_INTERVAL_SECONDS", 0.02)
    return TrialGateway(serve, model_server, tmp_path, valkey)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey of a test module's own."""
    valkey = Valkey(tmp_path_factory.mktemp("valkey"))
    yield valkey
    valkey.kill()

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.gateway.conftest import Serve
from tests.gateway.remembering import history_server
from tests.gateway.trials import Valkey
from tests.tiny import TinyServer


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@pytest.fixture
def client(serve: Serve, valkey: Valkey) -> TestClient:
    """A gateway that nothing was asked of but its contract."""
    return serve(redis_url=valkey.url, history_timeout_seconds=10.0)


def test_a_gateway_that_is_ready_has_made_what_a_request_needs(client: TestClient, valkey: Valkey) -> None:
    """Golden rows went the whole way: a connection to Redis is there, and the script by which rows enter."""
    with valkey.client() as redis:
        cached = redis.info("memory")["number_of_cached_scripts"]
        assert client.get("/readyz").is_success
        assert redis.info("memory")["number_of_cached_scripts"] == cached + 1


def test_it_leaves_no_trace(client: TestClient, valkey: Valkey) -> None:
    """Golden rows are nobody's transactions."""
    assert client.get("/readyz").is_success
    assert "fraud_predictions_total{" not in client.get("/metrics").text
    with valkey.client() as redis:
        assert not [*redis.scan_iter("fraud:[thv]:*")]


def test_it_waits_for_no_redis_that_is_away(client: TestClient, valkey: Valkey) -> None:
    """A gateway without history is ready: it can score."""
    valkey.kill()
    assert client.get("/readyz").is_success

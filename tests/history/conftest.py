"""What tests of history on a real Valkey share."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests import valkey


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Valkey of the module's own, that keeps nothing on disk: a stream of tests is faster so."""
    with valkey.running(tmp_path_factory.mktemp("valkey")) as running:
        client = Redis.from_url(running.url, socket_timeout=10.0)
        client.config_set("appendonly", "no")
        yield client
        client.close()


@pytest.fixture
def redis(server: Redis) -> Redis:
    """An empty one."""
    server.flushall()
    return server

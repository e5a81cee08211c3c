"""Blocking connections to Redis."""

import socket
import time

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from environment.redis_client import connect


def test_a_silent_redis_is_given_up_after_the_timeout() -> None:
    """A server that accepts and never answers costs one timeout: nothing is sent a second time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with connect(f"redis://127.0.0.1:{port}/0", 0.2) as client, pytest.raises(RedisTimeoutError):
            client.ping()
        assert time.monotonic() - started >= 0.2
        server.accept()[0].close()
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_address_that_is_none_is_refused_before_anything_is_sent() -> None:
    """It is a mistake in the configuration, not an outage."""
    with pytest.raises(ValueError, match="Redis URL"):
        connect("http://127.0.0.1", 1.0)

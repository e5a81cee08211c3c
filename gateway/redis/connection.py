"""Connections of redis-py's client whose timeouts do not count time in which this process was busy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.timeouts import io_timeout


def connect_redis(url: str, timeout_seconds: float | None) -> Redis:
    """A client that gives up after this time without an answer; None where the caller has a timeout of its own."""
    client: Redis = Redis.from_url(url, retry=None)
    if timeout_seconds is not None:
        pool = client.connection_pool
        pool.connection_class = _with_timeout(pool.connection_class, timeout_seconds)
    return client


def _with_timeout(kind: type[AbstractConnection], seconds: float) -> type[AbstractConnection]:
    """A class of connections of the same kind; each step of them may take this many seconds."""

    class TimedConnection(kind):  # type: ignore[misc,valid-type]  # mypy follows no class that is an argument.
        async def connect(self) -> None:
            async with _in_time(seconds):
                await super().connect()

        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - redis-py's own
            async with _in_time(seconds):
                await super().send_packed_command(*args, **kwargs)

        async def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - redis-py's own
            async with _in_time(seconds):
                return await super().read_response(*args, **kwargs)

    return TimedConnection


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Raises redis-py's own error: its pipelines and pools know what to do with it."""
    try:
        async with io_timeout(seconds):
            yield
    except TimeoutError:
        raise RedisTimeoutError from None

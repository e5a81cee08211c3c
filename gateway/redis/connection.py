"""Connections of redis-py's client whose timeouts count no time in which this process was busy (`gateway.timeouts`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from gateway.timeouts import io_timeout


def connect_redis(url: str, seconds: float | None) -> Redis:
    """A client that gives up after so many seconds of silence; None where whoever calls says how long."""
    client: Redis = Redis.from_url(url, retry=None)
    if seconds is not None:
        pool = client.connection_pool
        pool.connection_class = _patient(pool.connection_class, seconds)
    return client


def _patient(kind: type[AbstractConnection], seconds: float) -> type[AbstractConnection]:
    """The same kind of connection; each step of it may take so many seconds."""

    class Patient(kind):  # type: ignore[misc,valid-type]  # mypy follows no class that is an argument.
        async def connect(self) -> None:
            async with _in_time(seconds):
                await super().connect()

        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - redis-py's own
            async with _in_time(seconds):
                await super().send_packed_command(*args, **kwargs)

        async def read_response(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - likewise
            async with _in_time(seconds):
                return await super().read_response(*args, **kwargs)

    return Patient


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Raises redis-py's own error: its pipelines and pools know what to do with it."""
    try:
        async with io_timeout(seconds):
            yield
    except TimeoutError:
        raise RedisTimeoutError from None

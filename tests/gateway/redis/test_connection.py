"""The gateway's clients of a real Valkey: who is silent, and who was only busy."""

import asyncio
import os
import signal
import time

import pytest
from redis.exceptions import RedisError

from gateway.redis.connection import connect_redis
from tests.gateway.trials import Valkey

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's, but for uvloop."""
    return "asyncio"


async def test_a_reply_that_came_while_this_process_was_busy_is_in_time(server: Valkey) -> None:
    """It was busy for longer than the timeout, and the reply lies at the socket."""
    async with connect_redis(server.url, 0.5) as redis:
        assert await redis.echo("a")
        asyncio.get_running_loop().call_later(0.05, time.sleep, 1.0)
        assert await redis.blpop(["empty"], 0.2) is None  # type: ignore[misc]  # redis-py's types are of both clients.


async def test_a_redis_that_hangs_is_given_up_and_used_again(server: Valkey) -> None:
    """By commands and pipelines, on old connections and new ones; a late reply is nobody's."""
    async with connect_redis(server.url, 0.2) as redis, connect_redis(server.url, 0.2) as other:
        assert await redis.echo("a")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            for client in (redis, redis, other):
                with pytest.raises(RedisError):
                    await client.get("late")
                pipeline = client.pipeline(transaction=False)
                pipeline.get("late")
                with pytest.raises(RedisError):
                    await pipeline.execute()
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert [await redis.echo("a"), await other.echo("b")] == [b"a", b"b"]


async def test_a_redis_that_is_gone_fails_at_once(server: Valkey) -> None:
    """No timeout is waited for."""
    async with connect_redis(server.url, 3600.0) as redis:
        assert await redis.echo("a")
        server.kill()
        with pytest.raises(RedisError):
            await redis.echo("a")
        await asyncio.to_thread(server.start)
        assert await redis.echo("a")

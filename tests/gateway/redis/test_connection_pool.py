"""The pool with a real Valkey: every reply is its own call's, and no call waits for a Valkey that is silent."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from redis.exceptions import RedisError, ResponseError

from gateway.redis.connection import connect_redis
from gateway.redis.connection_pool import ScriptConnectionPool
from tests.gateway.trials import Valkey

pytestmark = pytest.mark.anyio

ECHO = "return ARGV[1]"
SECONDS = 5.0


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's."""
    return "asyncio"


@pytest.fixture
async def pool(server: Valkey) -> AsyncIterator[ScriptConnectionPool]:
    """A pool of its own."""
    pool = ScriptConnectionPool(connect_redis(server.url, None), SECONDS)
    yield pool
    await pool.aclose()


async def test_each_of_many_calls_gets_its_own_reply(pool: ScriptConnectionPool) -> None:
    """However many run at once."""
    texts = [str(number) for number in range(50)]
    for _ in range(3):
        replies = await asyncio.gather(*(pool.run(ECHO, (text,)) for text in texts))
        assert replies == [text.encode() for text in texts]


async def test_a_script_that_redis_forgot_is_sent_again(pool: ScriptConnectionPool, server: Valkey) -> None:
    """As after a restart."""
    await pool.run(ECHO, ("a",))
    with server.client() as client:
        client.script_flush()
    assert await pool.run(ECHO, ("b",)) == b"b"


async def test_a_refusal_is_raised_and_the_connection_stays_in_step(pool: ScriptConnectionPool, server: Valkey) -> None:
    """The next call has its own reply, over the same connection."""
    with pytest.raises(ResponseError):
        await pool.run("return redis.call(ARGV[1])", ("NONSENSE",))
    assert await pool.run(ECHO, ("a",)) == b"a"
    with server.client() as client:
        connections = client.info("clients")["connected_clients"]
        await pool.run(ECHO, ("a",))
        assert client.info("clients")["connected_clients"] == connections


async def test_a_redis_that_hangs_is_given_up_and_its_late_reply_is_nobodys(server: Valkey) -> None:
    """When it goes on, the next call has its own reply."""
    async with aclosing(ScriptConnectionPool(connect_redis(server.url, None), 1.0)) as pool:
        await pool.run(ECHO, ("a",))
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                await pool.run(ECHO, ("late",))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await pool.run(ECHO, ("b",)) == b"b"


async def test_connections_that_were_lost_while_idle_are_nobodys_failure(
    pool: ScriptConnectionPool, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis was restarted: the next calls are answered, one or many."""
    monkeypatch.setattr("gateway.redis.connection_pool.FRESH_SECONDS", 0.0)
    for calls in (1, 4):
        await asyncio.gather(*(pool.run(ECHO, ("a",)) for _ in range(4)))
        server.kill()
        await asyncio.to_thread(server.start)
        assert await asyncio.gather(*(pool.run(ECHO, ("b",)) for _ in range(calls))) == [b"b"] * calls


async def test_a_redis_that_is_gone_fails_at_once_until_it_is_back(pool: ScriptConnectionPool, server: Valkey) -> None:
    """No call waits for one that is not there."""
    await pool.run(ECHO, ("a",))
    server.kill()
    for _ in range(3):
        with pytest.raises((RedisError, OSError)):
            await pool.run(ECHO, ("b",))
    server.start()
    assert await pool.run(ECHO, ("c",)) == b"c"

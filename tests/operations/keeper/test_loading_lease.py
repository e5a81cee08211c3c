"""The lease of a past that is being loaded ends with its holder, however that ends."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from history.epoch import LOADING
from operations.history.redis_access import Interrupted
from operations.keeper import loading_lease
from tests import valkey
from tests.operations.history.pasts import client_of, wait_for

SECONDS = 1.0
HOLDER = """
import asyncio, sys
from operations.keeper.loading_lease import hold_lease

async def hold():
    async with hold_lease(sys.argv[1], float(sys.argv[2])):
        await asyncio.Event().wait()

asyncio.run(hold())
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Redis]]:
    """The address of a Valkey, and a client of it."""
    with valkey.running(tmp_path) as it, closing(client_of(it)) as redis:
        yield it.url, redis


def left(redis: Redis) -> int:
    """Milliseconds until it ends; -2 where there is none."""
    return cast("int", redis.pttl(LOADING))


def test_a_lease_ends_when_its_holder_is_killed(server: tuple[str, Redis]) -> None:
    """It is renewed for as long as the holder lives; nobody has to tidy up behind one that was killed."""
    url, redis = server
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url, str(SECONDS)])
    try:
        wait_for(lambda: left(redis) > 0)
        for _ in range(3):
            before = max(left(redis), 0)
            wait_for(lambda: left(redis) < before)  # noqa: B023 - done before the next turn
            wait_for(lambda: left(redis) > SECONDS * 1_000 / 2)
    finally:
        holder.kill()
        holder.wait()
    assert left(redis) <= SECONDS * 1_000
    wait_for(lambda: left(redis) == -2)


def test_a_lease_is_given_back_at_once(server: tuple[str, Redis]) -> None:
    """Whether what it was held for succeeds or fails."""
    url, redis = server

    async def hold(*, fails: bool) -> None:
        async with loading_lease.hold_lease(url):
            assert left(redis) > 0
            if fails:
                raise KeyError

    asyncio.run(hold(fails=False))
    assert left(redis) == -2
    with pytest.raises(KeyError):
        asyncio.run(hold(fails=True))
    assert left(redis) == -2


def test_without_redis_there_is_no_lease() -> None:
    """Who wanted it is told."""

    async def hold() -> None:
        async with loading_lease.hold_lease("redis://127.0.0.1:1"):
            pytest.fail("held")

    with pytest.raises(Interrupted):
        asyncio.run(hold())

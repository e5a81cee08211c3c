"""What a gateway does about journals that others left, on a real Valkey."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway import background
from gateway.history import journal_recovery
from gateway.history.journal_recovery import recover_periodically
from history.journal import DUE
from tests import valkey
from tests.valkey import Valkey

pytestmark = pytest.mark.anyio


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Valkey]:
    """A Valkey."""
    with valkey.running(tmp_path) as started:
        yield started


async def test_without_redis_there_is_nothing_to_recover() -> None:
    """A gateway without history runs as before."""
    await recover_periodically(None)


async def test_everything_that_is_due_is_recovered(running: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, and what comes later is left."""
    monkeypatch.setattr(journal_recovery, "RECOVERY_INTERVAL_SECONDS", 0.001)
    async with Redis.from_url(running.url) as redis:
        await redis.zadd(DUE, {"a": 0, "b": 1, "c": 1e12})
        async with background.running(partial(recover_periodically, redis)):
            while await redis.zcard(DUE) > 1:
                pass
        assert await redis.zrange(DUE, 0, -1) == [b"c"]


async def test_it_goes_on_when_redis_comes_back(running: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is away for a while ends nothing."""
    monkeypatch.setattr(journal_recovery, "RECOVERY_INTERVAL_SECONDS", 0.001)
    async with Redis.from_url(running.url, socket_timeout=1.0, retry=None) as redis:
        running.kill()
        async with background.running(partial(recover_periodically, redis)):
            running.start()
            async with Redis.from_url(running.url) as other:
                await other.zadd(DUE, {"a": 0})
                while await other.zcard(DUE):
                    pass

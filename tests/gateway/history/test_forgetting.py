"""A Redis that is nearly full forgets its oldest transactions, once, and says so."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from gateway.history.forgetting import forget_oldest
from gateway.metrics import Metrics
from history.known_ids import KNOWN, SLOT_SECONDS, SLOTS
from history.redis_schema import ANSWERS, BLOCK, STATE
from tests.gateway.trials import Valkey

pytestmark = pytest.mark.anyio
IDS = 1_000


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's."""
    return "asyncio"


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of the test's own Valkey, with two slots of ids, and a block, answers and a state of each."""
    async with Redis.from_url(valkey.url) as client:
        for name, ahead in ((b"old", 2), (b"new", 3)):
            now = int((await client.time())[0])
            slot = now // SLOT_SECONDS + ahead
            await client.hset(KNOWN + b"%d" % slot, mapping={b"%d" % n: b"where" for n in range(IDS)})  # type: ignore[misc,arg-type]
            await client.zadd(SLOTS, {b"%d" % slot: slot})
            await client.set(BLOCK + name, b"a block", ex=slot * SLOT_SECONDS - now + SLOT_SECONDS - 5)
            await client.set(ANSWERS + name, b"answers", ex=slot * SLOT_SECONDS - now - 5)
            await client.set(STATE + name, b"a state", ex=SLOT_SECONDS)
        yield client


async def names(redis: Redis) -> set[bytes]:
    """All keys but the list of slots, slots without their numbers."""
    return {key[: len(KNOWN)] if key.startswith(KNOWN) else key for key in await redis.keys() if key != SLOTS}


def forgotten(metrics: Metrics) -> float:
    """What the metrics count."""
    return metrics.registry.get_sample_value("history_forgotten_total") or 0.0


async def test_the_oldest_go_with_their_blocks_and_answers_and_states_stay(redis: Redis) -> None:
    """They are counted; the newest ones stay, however full it is."""
    metrics = Metrics()
    await redis.config_set("maxmemory", 1)
    for _ in range(3):
        await forget_oldest(redis, metrics)
        assert await names(redis) == {KNOWN, BLOCK + b"new", ANSWERS + b"new", STATE + b"old", STATE + b"new"}
        assert len(await redis.zrange(SLOTS, 0, -1)) == len(await redis.keys(KNOWN + b"*")) == 1
        assert forgotten(metrics) == IDS


@pytest.mark.parametrize("memory", ["0", "1gb"])
async def test_with_room_nothing_is_forgotten(redis: Redis, memory: str) -> None:
    """Nor without a bound."""
    metrics = Metrics()
    await redis.config_set("maxmemory", memory)
    before = await redis.keys()
    await forget_oldest(redis, metrics)
    assert sorted(await redis.keys()) == sorted(before)
    assert forgotten(metrics) == 0

"""While the first model's past is loaded, gateways that start wait for it: by a lease, which ends with its holder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from redis import Redis

from contract.epoch import LEASE_SECONDS, LOADING
from operations.history.load import Interrupted, connected
from operations.processes.aside import aside


@asynccontextmanager
async def held(url: str) -> AsyncIterator[None]:
    """Holds it while something is loaded.

    Raises:
        Interrupted: Redis does not answer.
    """
    await aside(partial(_done, url, _take))
    renewing = asyncio.create_task(_renew(url))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with suppress(Interrupted):
            await aside(partial(_done, url, lambda redis: redis.delete(LOADING)))


async def _renew(url: str) -> None:
    while True:
        await asyncio.sleep(LEASE_SECONDS / 4)
        with suppress(Interrupted):
            await aside(partial(_done, url, _take))


def _take(redis: Redis) -> object:
    return redis.set(LOADING, b"1", ex=LEASE_SECONDS)


def _done(url: str, act: Callable[[Redis], object]) -> None:
    with connected(url) as redis:
        act(redis)

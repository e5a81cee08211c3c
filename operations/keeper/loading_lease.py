"""While the first model's past is loaded, gateways that start wait for it: by a lease, which ends with its holder."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from history.epoch import LOADING, LOADING_LEASE_SECONDS
from operations.history.redis_access import Interrupted, connected
from operations.processes.daemon_thread import run_in_daemon_thread


@asynccontextmanager
async def hold_lease(url: str, seconds: float = LOADING_LEASE_SECONDS) -> AsyncIterator[None]:
    """Holds the lease while history is loaded; after a kill of its holder it expires within `seconds`.

    Raises:
        Interrupted: Redis does not answer.
    """

    def renew() -> None:
        with connected(url) as redis:
            redis.set(LOADING, b"1", px=round(1_000 * seconds))

    def give_back() -> None:
        with connected(url) as redis:
            redis.delete(LOADING)

    await run_in_daemon_thread(renew)
    renewing = asyncio.create_task(_renew(renew, seconds / 4))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with suppress(Interrupted):
            await run_in_daemon_thread(give_back)


async def _renew(renew: Callable[[], None], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        with suppress(Interrupted):
            await run_in_daemon_thread(renew)

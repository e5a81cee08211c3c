"""Work beside the requests, at its end."""

import asyncio

import pytest

from gateway.background import running


@pytest.mark.anyio
async def test_work_that_misses_a_cancellation_is_cancelled_again() -> None:
    """A client that takes the first cancellation for an error of its own does not hold up the end of the gateway."""
    heard = 0

    async def work() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard += 1

    async with asyncio.timeout(30), running(work()):
        await asyncio.sleep(0)
    assert heard == 2

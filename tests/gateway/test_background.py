"""Work beside the requests, at its end."""

import asyncio
import json
from pathlib import Path

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

    async with asyncio.timeout(30), running(work):
        await asyncio.sleep(0)
    assert heard == 2


@pytest.mark.anyio
async def test_work_that_an_error_ends_begins_again(log_lines: Path) -> None:
    """Nobody awaits it before the gateway ends: the log says at once what failed, and it is done again."""
    begun, again = 0, asyncio.Event()

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise OSError
        again.set()

    async with asyncio.timeout(30), running(work, restart_seconds=0.01):
        await again.wait()
    line = json.loads(log_lines.read_bytes())  # noqa: ASYNC240 - a short file
    assert (line["event"], line["exception"], line["restart_seconds"]) == ("background work failed", "OSError", 0.01)
    assert line["frames"][-1].endswith(" work")

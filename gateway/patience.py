"""Waiting for a short while, and no longer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

GRACE_SECONDS = 0.005
"""After the time is over: where this process itself was late, the answer lies there and only needs to be read."""
Result = TypeVar("Result")


async def within(seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """What some work gives, if it is done in time; else it is given up.

    Raises:
        TimeoutError: it is not.
    """
    task = asyncio.create_task(work)
    try:
        if await done_within(seconds, task):
            return task.result()
        raise TimeoutError
    finally:
        task.cancel()


async def done_within(seconds: float, task: asyncio.Task[Any]) -> bool:
    """Whether a task is done in time; it goes on where it is not.

    A timeout by the clock alone would blame the other side for the time that this process was busy: while a thread
    of its own reads a large file, the loop may come round only every 50 ms.
    """
    for patience in (seconds, GRACE_SECONDS):
        if (await asyncio.wait({task}, timeout=patience))[0]:
            return True
    return False

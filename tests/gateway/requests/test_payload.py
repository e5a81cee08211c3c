"""Where the work on a payload is done."""

import asyncio
import contextvars
import threading

from gateway.http.body_limit import LARGE_BODY_BYTES
from gateway.requests.payload import INLINE_BYTES, csv_payload


async def _threads(*sizes: int) -> list[int]:
    """The thread that works on each of these bodies, all at once."""
    return await asyncio.gather(*(csv_payload(b"x" * size).work(threading.get_ident) for size in sizes))


def test_large_bodies_are_worked_on_one_after_the_other() -> None:
    """By one thread, whichever request they are of; what is smaller has others, and the smallest the event loop."""
    large = LARGE_BODY_BYTES + 1
    *threads, medium, little = asyncio.run(_threads(large, large, large, LARGE_BODY_BYTES, INLINE_BYTES))
    assert len(set(threads)) == 1
    assert len({threads[0], medium, little}) == 3
    assert little == threading.get_ident()


def test_work_belongs_to_its_request() -> None:
    """It sees the request's context wherever it is done, as its log lines need."""
    variable = contextvars.ContextVar[str]("variable")

    async def seen(size: int) -> str:
        variable.set("own")
        return await csv_payload(b"x" * size).work(variable.get)

    for size in (INLINE_BYTES, LARGE_BODY_BYTES, LARGE_BODY_BYTES + 1):
        assert asyncio.run(seen(size)) == "own"

"""Timeouts, on both event loops: they look at timers and sockets in different orders."""

import asyncio
import time
from typing import Any

import pytest

from gateway.timeouts import io_timeout

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """The gateway's is uvloop."""
    return "asyncio", {"use_uvloop": request.param}


async def answer() -> int:
    """Soon done."""
    await asyncio.sleep(0)
    return 7


async def test_what_is_done_in_time_gives_its_result() -> None:
    """As if it were awaited."""
    async with io_timeout(10.0):
        assert await answer() == 7


async def test_what_never_ends_is_given_up() -> None:
    """A TimeoutError says so."""
    with pytest.raises(TimeoutError):
        async with io_timeout(0.001):
            await asyncio.Event().wait()


async def test_who_is_cancelled_meanwhile_is_cancelled() -> None:
    """It is no timeout."""

    async def work() -> None:
        async with io_timeout(10.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_fails() -> None:
    """Its error is the caller's."""
    with pytest.raises(ConnectionError):
        async with io_timeout(10.0):
            raise ConnectionError


async def test_an_answer_that_lies_at_the_socket_is_in_time() -> None:
    """This process was busy for longer than the timeout while it came."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        here, there = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        there.write(b"x")
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        async with io_timeout(0.001):
            assert await here.readexactly(1) == b"x"
        there.close()
        await there.wait_closed()


async def test_time_in_which_the_loop_was_busy_does_not_count() -> None:
    """Nothing could be heard in it: what comes soon after is in time."""
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def busy() -> None:
        time.sleep(1.0)
        loop.call_later(0.1, answer.set_result, 7)

    loop.call_soon(busy)
    async with io_timeout(0.5):
        assert await answer == 7

import asyncio
import time

import pytest

from gateway.patience import done_within, within

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The gateway's."""
    return "asyncio"


async def answer() -> int:
    """Soon done."""
    await asyncio.sleep(0)
    return 7


async def test_what_is_done_in_time_gives_its_result() -> None:
    """As if it were awaited."""
    async with within(10.0):
        assert await answer() == 7


async def test_what_never_ends_is_given_up() -> None:
    """A TimeoutError says so."""
    with pytest.raises(TimeoutError):
        async with within(0.001):
            await asyncio.Event().wait()


async def test_who_is_cancelled_meanwhile_is_cancelled() -> None:
    """It is no timeout."""

    async def work() -> None:
        async with within(10.0):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_fails_fails() -> None:
    """Its error is the caller's."""
    with pytest.raises(ConnectionError):
        async with within(10.0):
            raise ConnectionError


async def test_a_busy_loop_is_not_held_against_the_other_side() -> None:
    """What came while this process was busy counts as come in time."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        here, there = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        there.write(b"x")
        task = asyncio.create_task(here.readexactly(1))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(time.sleep, 0.05)
        assert await done_within(0.001, task)
        there.close()
        await there.wait_closed()

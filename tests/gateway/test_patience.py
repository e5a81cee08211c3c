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
    assert await within(10.0, answer()) == 7


async def test_what_never_ends_is_given_up() -> None:
    """It is cancelled, and a TimeoutError says so."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        await within(0.001, work())
    await asyncio.wait_for(ended.wait(), 10)


async def test_what_fails_fails() -> None:
    """Its error is the caller's."""

    async def work() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await within(10.0, work())


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

"""The end of a connection whose caller may still be sending."""

import asyncio
import socket
import urllib.error
import urllib.request

import pytest
from starlette.types import Receive, Scope, Send

from gateway.http.lingering import LingerLimits
from gateway.http.problems import TooLarge, problem_response
from gateway.http.protocol import ConnectionLimits
from tests.gateway.http.test_protocol import serving

MEGABYTE = 1_000_000
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before a byte of the body is read."""
    response = problem_response(TooLarge())
    response.headers["connection"] = "close"
    await response(scope, receive, send)


def uploaded(url: str, size: int, key: str = "") -> int:
    """The status that Python's own client reads."""
    headers = {"X-API-Key": key, "Content-Type": "text/csv"}
    request = urllib.request.Request(url, data=b"x" * size, headers=headers)  # noqa: S310 - a server of the test
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def sent_until_cut(port: int, announced: int) -> int:
    """How much of an announced body can be sent by a caller who does not read."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as caller:
        caller.sendall(HEAD % announced)
        try:
            while sent < announced:
                sent += caller.send(b"x" * 100_000)
        except ConnectionError:
            pass
    return sent


async def drip(writer: asyncio.StreamWriter, interval: float) -> None:
    """Sends a byte now and then; far fewer than were announced, unless it is cut."""
    for _ in range(500):
        await asyncio.sleep(interval)
        writer.write(b"x")
        await writer.drain()


@pytest.mark.anyio
async def test_a_caller_who_sends_all_first_reads_the_answer() -> None:
    """Python's own client sends its 11 MB before it reads: it finds the answer and no reset, 30 of them at once too."""
    async with serving(app=early) as port:
        url = f"http://127.0.0.1:{port}/"
        assert await asyncio.to_thread(uploaded, url, 11 * MEGABYTE) == 413
        answers = [asyncio.to_thread(uploaded, url, MEGABYTE) for _ in range(30)]
        assert set(await asyncio.gather(*answers)) == {413}


@pytest.mark.anyio
async def test_the_rest_of_a_body_is_bounded() -> None:
    """Of an announced gigabyte no more is taken than the limit and what the buffers between hold."""
    async with serving(ConnectionLimits(linger=LingerLimits(max_bytes=2 * MEGABYTE)), early) as port:
        sent = await asyncio.to_thread(sent_until_cut, port, 1000 * MEGABYTE)
    assert 2 * MEGABYTE <= sent < 20 * MEGABYTE


@pytest.mark.anyio
@pytest.mark.parametrize("interval", [0.01, 0.5])
async def test_an_idle_caller_is_disconnected(interval: float) -> None:
    """A silent caller is cut off early, and one who drips in the end."""
    async with serving(ConnectionLimits(linger=LingerLimits(idle_seconds=0.1, rounds=3)), early) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD % 1000)
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 413")
        with pytest.raises(ConnectionError):
            await drip(writer, interval)
        writer.close()


@pytest.mark.anyio
async def test_shutdown_waits_for_no_lingering_connection() -> None:
    """A caller who was answered holds up no shutdown."""
    async with asyncio.timeout(4):
        async with serving(app=early) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD % 1000)
            assert await reader.read(-1)
        writer.close()

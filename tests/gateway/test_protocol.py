"""HTTP/1.1 over real sockets: what uvicorn and httptools leave open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway import protocol
from gateway.protocol import MOST_HEAD_BYTES, GuardedProtocol


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path and the body."""
    request = Request(scope, receive)
    await PlainTextResponse(f"{scope['path']}:{(await request.body()).decode()}")(scope, receive, send)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The port of a server that speaks the guarded protocol."""
    config = uvicorn.Config(echo, port=0, http=GuardedProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def say(port: int, *parts: bytes) -> bytes:
    """Everything that is answered to these bytes, sent part by part, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        return await asyncio.wait_for(reader.read(-1), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def write_until_cut(writer: asyncio.StreamWriter) -> None:
    """Writes for ten seconds at most."""
    until = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < until:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0)


UPGRADE = b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
NEXT = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [0, 1, 40])
async def test_a_body_survives_an_upgrade_header(cut: int) -> None:
    """A request that offers an upgrade is answered as if it had not, wherever its bytes are cut."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    message = UPGRADE + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with serving() as port:
        answer = await say(port, message[: len(message) - cut], message[len(message) - cut :] + NEXT)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"/a:GET /smuggled" in answer
    assert b"/last:" in answer


@pytest.mark.anyio
async def test_an_upgrade_that_asks_to_close_is_closed() -> None:
    """What else the Connection header says is kept: the answer ends with the connection."""
    message = UPGRADE.replace(b"HTTP2-Settings\r", b"close\r") + b"Content-Length: 2\r\n\r\nab"
    async with serving() as port:
        assert (await say(port, message)).endswith(b"/a:ab")


@pytest.mark.anyio
async def test_pipelined_requests_are_answered_in_order() -> None:
    """Ordinary requests behind one another are as they were."""
    one = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    async with serving() as port:
        answer = await say(port, one + NEXT)
    assert answer.index(b"/one:abc") < answer.index(b"/last:")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"x" * MOST_HEAD_BYTES,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * MOST_HEAD_BYTES,
        b"no http\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["long header", "many headers", "no http", "connect"],
)
async def test_what_is_no_request_is_a_problem(message: bytes) -> None:
    """A head without end, and what is no HTTP, is answered 400 and closed."""
    async with serving() as port:
        answer = await say(port, message)
    assert answer.startswith(b"HTTP/1.1 400") or not answer  # a reset may overtake the answer
    assert b"/" not in answer or b"problem+json" in answer


@pytest.mark.anyio
async def test_a_large_body_behind_a_small_head_is_read() -> None:
    """The limit is the head's: a body in the same packet does not count."""
    body = b"x" * (3 * MOST_HEAD_BYTES)
    head = b"POST /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving() as port:
        assert (await say(port, head + body)).endswith(body)


@pytest.mark.anyio
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost"])
async def test_a_silent_caller_is_let_go(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that never finishes its head is closed."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    async with serving() as port:
        assert await say(port, begun) == b""


@pytest.mark.anyio
async def test_a_caller_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that nobody takes is not kept for ever."""
    monkeypatch.setattr(protocol, "SEND_SECONDS", 0.05)
    body = b"x" * 20_000_000
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        reader._transport.pause_reading()  # type: ignore[attr-defined] # a caller who takes nothing more
        with pytest.raises(ConnectionError):
            await write_until_cut(writer)
        writer.close()

"""HTTP/1.1 over real sockets: what uvicorn and httptools leave open."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import Problem, problem_response
from gateway.http.protocol import WHOLE, ConnectionLimits, GuardedProtocol
from gateway.http.refusal import RefusalMiddleware


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path and the body."""
    request = Request(scope, receive)
    try:
        body = await request.body()
    except Problem as problem:
        await problem_response(problem)(scope, receive, send)
    else:
        await PlainTextResponse(f"{scope['path']}:{body.decode()}")(scope, receive, send)


echo = RefusalMiddleware(_echo)


@asynccontextmanager
async def serving(limits: ConnectionLimits | None = None, app: ASGIApp = echo) -> AsyncIterator[int]:
    """The port of a server that speaks the guarded protocol."""
    speaking = cast("type[GuardedProtocol]", partial(GuardedProtocol, limits=limits))
    config = uvicorn.Config(app, port=0, http=speaking, ws="none", lifespan="off", log_config=None)
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
    finally:
        writer.close()


async def write_until_cut(writer: asyncio.StreamWriter) -> None:
    """Writes for ten seconds at most."""
    until = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < until:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0)


HEAD_BYTES = ConnectionLimits().head_bytes
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
    ("message", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"x" * HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\na: " + b"x" * HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * HEAD_BYTES, 414),
        (b"\r\n" * HEAD_BYTES, 431),
        (b"no http\r\n\r\n", 400),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ],
    ids=["long header", "many headers", "whole", "long target", "no head", "no http", "connect"],
)
async def test_what_is_no_request_is_a_problem(message: bytes, status: int) -> None:
    """A head without end, one that is too large in a single read, and what is no HTTP, have an answer and an end."""
    async with serving() as port:
        answer = await say(port, message)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert b"problem+json" in answer


@pytest.mark.anyio
@pytest.mark.parametrize("around", [b"0\r\na: " + b"x" * 400_000, b"1;" + b"x" * 400_000], ids=["trailer", "extension"])
async def test_what_comes_around_a_body_is_bounded(around: bytes) -> None:
    """Trailers and extensions of chunks are no body, whose limit they would pass by."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as port:
        assert (await say(port, head, *[around[at : at + 50_000] for at in range(0, len(around), 50_000)])).startswith(
            b"HTTP/1.1 431"
        )


@pytest.mark.anyio
async def test_a_trailer_is_no_header() -> None:
    """A key that comes behind the body does not open the door in front of it."""
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)
        seen.extend(scope["headers"])

    body = b"1\r\na\r\n0\r\nX-API-Key: k\r\n\r\n"
    async with serving(app=app) as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        assert (await say(port, head + body)).endswith(b":a")
    assert b"x-api-key" not in dict(seen)


@pytest.mark.anyio
async def test_a_refusal_waits_for_its_turn() -> None:
    """A caller who sends rubbish behind a good request has the answer to that first, and then the refusal."""
    good = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    async with serving() as port:
        answer = await say(port, good + good + b"rubbish\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"200", b"400"]


@pytest.mark.anyio
async def test_an_unreadable_body_is_refused_once() -> None:
    """A request whose chunks are wrong has one answer, and the connection ends."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving() as port:
        answer = await say(port, head + b"1\r\nab\r\n", NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"400"]


@pytest.mark.anyio
async def test_a_large_body_behind_a_small_head_is_read() -> None:
    """The limit is the head's: a body in the same packet does not count."""
    body = b"x" * (3 * HEAD_BYTES)
    head = b"POST /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving() as port:
        assert (await say(port, head + body)).endswith(body)


@pytest.mark.anyio
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost"])
async def test_a_silent_caller_is_let_go(begun: bytes) -> None:
    """A connection that never finishes its head is closed."""
    async with serving(ConnectionLimits(head_seconds=0.05)) as port:
        assert await say(port, begun) == b""


@pytest.mark.anyio
async def test_a_caller_who_does_not_read_is_let_go() -> None:
    """An answer that nobody takes is not kept for ever."""
    body = b"x" * 20_000_000
    async with serving(ConnectionLimits(send_seconds=0.05)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        reader._transport.pause_reading()  # type: ignore[attr-defined] # a caller who takes nothing more
        with pytest.raises(ConnectionError):
            await write_until_cut(writer)
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize(("parts", "expected"), [((b"body",), [True, True]), ((b"bo", b"dy"), [False, True])])
async def test_a_body_that_has_arrived_is_marked(parts: tuple[bytes, ...], expected: list[bool]) -> None:
    """And none of which a part is to come: whoever reads that must time it."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n"
    asked, marked = asyncio.Event(), list[bool]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        marked.append(WHOLE in scope)
        asked.set()
        await Request(scope, receive).body()
        marked.append(WHOLE in scope)
        await PlainTextResponse("")(scope, receive, send)

    async with serving(app=app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + parts[0])
        await asyncio.wait_for(asked.wait(), 10)
        writer.write(b"".join(parts[1:]))
        await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
    assert marked == expected

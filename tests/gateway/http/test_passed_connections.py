"""Connections that are passed on with a large body, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import pytest
import uvicorn

from gateway.http.body_limit import LARGE_BODY_BYTES
from gateway.http.passed_connections import PassedProtocol, PassingProtocol
from gateway.processes.connection_passing import ConnectionReceiver, ConnectionSender, open_queue
from tests.gateway.http.test_protocol import UPGRADE, echo, say
from tests.timeouts import WAIT_SECONDS

BODY = b"b" * (LARGE_BODY_BYTES + 1)
HEAD = b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
SMALL = b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = b"POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


class Serving:
    """A server that passes connections on, and one that takes them, in one event loop.

    Attributes:
        port: that the first one listens on.
        passed: how many connections the other one took.
        has_room: whether there is room for more; has_way: whether anything can be passed on at all.
    """

    def __init__(self) -> None:
        self.port = self.passed = 0
        self.has_room = self.has_way = True
        self._entry, self._exit = open_queue()
        self._sender = ConnectionSender(self._entry)
        speaking = cast("type[PassingProtocol]", partial(PassingProtocol, sender=self, seconds=0.05))
        self._config = uvicorn.Config(
            echo, port=0, http=speaking, ws="none", lifespan="off", log_config=None, loop="uvloop"
        )
        self._server = uvicorn.Server(self._config)
        self._receiver = ConnectionReceiver(self._exit, self._take)
        self._tasks = set[asyncio.Task[Any]]()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Serving"]:
        """From start to end."""
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup()
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self._receiver.start()
        try:
            yield self
        finally:
            self._receiver.stop()
            await self._server.shutdown()
            self._entry.close()
            self._exit.close()

    def try_send(self, connection: int, received: bytes) -> bool:
        """As the sender does, where there is room and a way."""
        if not self.has_way:
            raise OSError
        return self.has_room and self._sender.try_send(connection, received)

    def wait_for_room(self, offer: Callable[[], bool]) -> None:
        """As the sender does."""
        self._sender.wait_for_room(offer)

    def _take(self, connection: socket.socket, received: bytes) -> None:
        self.passed += 1
        protocol = partial(
            PassedProtocol,
            config=self._config,
            server_state=self._server.server_state,
            app_state={},
            received=received,
        )
        loop = asyncio.get_running_loop()
        self._tasks.add(loop.create_task(loop.connect_accepted_socket(protocol, connection)))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop of the gateway: what its transports do is what is relied on."""
    return "asyncio", {"use_uvloop": True}


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [0, 1, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, len(HEAD) + 100_000, len(HEAD + BODY)])
async def test_a_large_body_is_served_elsewhere_wherever_it_is_cut(cut: int) -> None:
    """Not a byte is lost or doubled, and the connection ends behind the answer."""
    message = HEAD + BODY
    async with Serving().running() as serving:
        answer = await say(serving.port, message[:cut], message[cut:])
    assert serving.passed == 1
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert answer.endswith(b"/large:" + BODY)


@pytest.mark.anyio
async def test_small_bodies_stay_and_a_large_one_behind_them_goes() -> None:
    """On one connection, each sent when the one before is answered."""
    async with Serving().running() as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, limit=2 * len(BODY))
        async with asyncio.timeout(WAIT_SECONDS):
            for _ in range(3):
                writer.write(SMALL)
                await reader.readuntil(b"/small:ok")
            assert serving.passed == 0
            writer.write(HEAD[:30])
            await writer.drain()
            writer.write(HEAD[30:] + BODY)
            assert (await reader.read(-1)).endswith(b"/large:" + BODY)
        writer.close()
    assert serving.passed == 1


@pytest.mark.anyio
async def test_a_body_of_unknown_length_goes() -> None:
    """Nobody knows yet how large it will be."""
    async with Serving().running() as serving:
        assert (await say(serving.port, CHUNKED)).endswith(b"/chunked:ok")
    assert serving.passed == 1


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [0, len(SMALL), len(SMALL) + 20])
async def test_what_is_sent_ahead_is_answered_in_its_turn(cut: int) -> None:
    """A large body stays behind a request that has no answer yet; one that is passed on is the connection's last."""
    message = SMALL + HEAD + BODY + LAST
    async with Serving().running() as serving:
        answer = await say(serving.port, message[:cut], message[cut:])
    expected = [b"/small:ok", b"/large:bbb", *([] if serving.passed else [b"/last:"])]
    places = [answer.index(text) for text in expected]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200") == len(expected)
    assert not (serving.passed and cut == 0)


@pytest.mark.anyio
async def test_where_there_is_no_room_it_stays() -> None:
    """It is offered for a while, and then served where it arrived; so is the next one on the connection."""
    async with Serving().running() as serving:
        serving.has_room = False
        answer = await say(serving.port, HEAD, BODY + HEAD + BODY + LAST)
    assert serving.passed == 0
    assert answer.count(b"/large:bbb") == 2
    assert answer.endswith(b"/last:")


@pytest.mark.anyio
async def test_where_there_is_no_way_it_stays_at_once() -> None:
    """As in a kernel that passes no file descriptors."""
    async with Serving().running() as serving:
        serving.has_way = False
        assert (await say(serving.port, HEAD, BODY + LAST)).endswith(b"/last:")
    assert serving.passed == 0


@pytest.mark.anyio
async def test_room_is_waited_for() -> None:
    """A queue that is full for a moment is no reason to serve it here."""
    async with Serving().running() as serving:
        serving.has_room = False
        asyncio.get_running_loop().call_later(0.01, setattr, serving, "has_room", True)
        assert (await say(serving.port, HEAD, BODY)).endswith(b"/large:" + BODY)
    assert serving.passed == 1


@pytest.mark.anyio
async def test_a_caller_who_leaves_is_not_passed_on() -> None:
    """While there is no room; nothing is left of it."""
    async with Serving().running() as serving:
        serving.has_room = False
        _, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        writer.write(HEAD)
        await writer.drain()
        writer.transport.abort()
        serving.has_room = True
        answer = await say(serving.port, LAST)
        assert answer.endswith(b"/last:")
    assert serving.passed <= 1


@pytest.mark.anyio
async def test_an_upgrade_header_is_passed_on_too() -> None:
    """Whoever serves the request takes it out of the head."""
    message = UPGRADE + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    async with Serving().running() as serving:
        answer = await say(serving.port, message)
    assert answer.endswith(b"/a:" + BODY)
    assert serving.passed == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"Host: x\r\n", b""),
        HEAD.replace(b"1.1", b"3.0"),
        HEAD.replace(b"POST /large", b"POST large"),
        CHUNKED.replace(b"chunked\r\n", b"gzip, chunked\r\n"),
    ],
)
async def test_a_head_at_fault_is_refused_by_who_gets_it(head: bytes) -> None:
    """As it is without another process."""
    async with Serving().running() as serving:
        assert (await say(serving.port, head)).startswith(b"HTTP/1.1 400")

"""The way to the model server: real sockets, and a server that answers as told."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import DeadlineExceeded, ModelServerDown
from gateway.models.frame_channel import RENEW_SECONDS, Reply, SocketChannel
from tests.timeouts import WAIT_SECONDS

MAX_BYTES = 100
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATH = "/predictions/fraud/1"


class Server:
    """Answers the requests of each connection with these bytes, one after the other; None is silence.

    Attributes:
        requests: what came, by connection.
        now: what the clock of the channel says.
    """

    def __init__(self, replies: Sequence[Sequence[bytes] | None]) -> None:
        self._replies = iter(replies)
        self.requests: list[list[bytes]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.now = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = list[bytes]()
        self.requests.append(own)
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split()[0])
                own.append(head + await reader.readexactly(length))
                reply = next(self._replies, (OK,))
                if reply is None:
                    await reader.read(-1)
                    return
                for piece in reply:
                    writer.write(piece)
                    await asyncio.sleep(0)


@asynccontextmanager
async def channel(server: Server) -> AsyncIterator[SocketChannel]:
    """A channel to a server."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        with closing(SocketChannel(url, WAIT_SECONDS, MAX_BYTES, lambda: server.now)) as opened:
            yield opened
        for writer in server.writers:
            writer.close()


def run(server: Server, test: Callable[[SocketChannel], Awaitable[None]]) -> None:
    """Runs a test of a channel."""

    async def connected() -> None:
        async with asyncio.timeout(WAIT_SECONDS), channel(server) as opened:
            await test(opened)

    asyncio.run(connected())


async def post(opened: SocketChannel, body: bytes = b"body", seconds: float = WAIT_SECONDS) -> Reply:
    """One request."""
    return await opened.post(PATH, body, seconds)


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds."""
    while not condition():  # noqa: ASYNC110 - of what happens in callbacks
        await asyncio.sleep(0)


def test_requests_follow_each_other_on_one_connection() -> None:
    """Each with three headers and its body."""
    server = Server([])

    async def test(opened: SocketChannel) -> None:
        assert [await post(opened, body) for body in (b"one", b"", b"three")] == [(200, b"ok")] * 3

    run(server, test)
    (requests,) = server.requests
    assert [request.partition(b"\r\n\r\n")[2] for request in requests] == [b"one", b"", b"three"]
    assert requests[0].startswith(b"post /predictions/fraud/1 http/1.1\r\nhost: 127.0.0.1:")


def test_requests_at_once_have_a_connection_each() -> None:
    """None waits for another's reply; afterwards the connections are used again."""
    server = Server([])

    async def test(opened: SocketChannel) -> None:
        for _ in range(2):
            assert await asyncio.gather(*(post(opened) for _ in range(3))) == [(200, b"ok")] * 3

    run(server, test)
    assert [len(requests) for requests in server.requests] == [2, 2, 2]


@pytest.mark.parametrize("age", [RENEW_SECONDS, RENEW_SECONDS + 1])
def test_an_old_connection_takes_no_request(age: float) -> None:
    """It is closed, whether it was idle or busy when it grew old, and the next request finds another server perhaps."""
    server = Server([])

    async def test(opened: SocketChannel) -> None:
        await post(opened)
        server.now += age
        await post(opened)

    run(server, test)
    assert len(server.requests) == (1 if age <= RENEW_SECONDS else 2)


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    """Whether it said so in its reply or ended it later."""
    last = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    server = Server([(last,), (OK,)])

    async def test(opened: SocketChannel) -> None:
        await post(opened)
        await post(opened)
        server.writers[1].close()
        await until(lambda: not opened._idle)
        assert await post(opened) == (200, b"ok")

    run(server, test)
    assert [len(requests) for requests in server.requests] == [1, 1, 1]


@pytest.mark.parametrize(
    "reply",
    [
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_BYTES + 1),
        b"HTTP/1.1 200 OK\r\ncontent-length: %s\r\n\r\n" % (b"9" * 5_000),
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\ncontent-length: 0\r\n\r\n",
        OK + OK,
        OK + b"more",
    ],
)
def test_any_other_reply_ends_the_connection(reply: bytes) -> None:
    """It is no reply of a model server: whatever stands behind it would be the next request's."""
    server = Server([(reply,)])

    async def test(opened: SocketChannel) -> None:
        with pytest.raises(ModelServerDown):
            await post(opened)
        assert await post(opened) == (200, b"ok")

    run(server, test)
    assert [len(requests) for requests in server.requests] == [1, 1]


def test_what_comes_unasked_ends_the_connection() -> None:
    """The next request would take it for its reply."""
    server = Server([])

    async def test(opened: SocketChannel) -> None:
        await post(opened)
        server.writers[0].write(OK)
        await until(lambda: not opened._idle)
        await post(opened)

    run(server, test)
    assert [len(requests) for requests in server.requests] == [1, 1]


def test_silence_is_a_deadline_exceeded() -> None:
    """The connection is not used again: the reply may still come."""
    server = Server([None])

    async def test(opened: SocketChannel) -> None:
        with pytest.raises(DeadlineExceeded):
            await post(opened, seconds=0.05)
        await post(opened)

    run(server, test)
    assert [len(requests) for requests in server.requests] == [1, 1]


def test_a_caller_who_leaves_ends_the_connection() -> None:
    """For the same reason."""
    server = Server([None])

    async def test(opened: SocketChannel) -> None:
        leaving = asyncio.create_task(post(opened))
        await until(lambda: bool(server.requests and server.requests[0]))
        leaving.cancel()
        await asyncio.wait([leaving])
        await post(opened)

    run(server, test)
    assert [len(requests) for requests in server.requests] == [1, 1]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid:80", f"http://{'x' * 70}:80"])
def test_nobody_there_is_a_server_that_is_down(url: str) -> None:
    """A refused connection, and a name that nobody has."""

    async def test() -> None:
        with closing(SocketChannel(url, WAIT_SECONDS, MAX_BYTES)) as opened, pytest.raises(ModelServerDown):
            await post(opened)

    asyncio.run(test())


def test_certificates_are_read_once_and_only_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are renewed on the event loop, which that would hold up."""
    reads = list[str]()
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: reads.append("default"))
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: reads.append("some"))
    server = Server([])

    async def test(opened: SocketChannel) -> None:
        await post(opened)

    run(server, test)
    assert not reads
    SocketChannel("https://127.0.0.1", 1.0, MAX_BYTES).close()
    assert len(reads) == 1


@given(st.binary(max_size=MAX_BYTES), st.sampled_from([200, 409, 503]), st.lists(st.integers(0, 200), max_size=5))
def test_a_reply_may_come_in_pieces(body: bytes, status: int, cuts: list[int]) -> None:
    """Wherever it is cut, and whatever it holds."""
    reply = b"HTTP/1.1 %d any\r\nContent-Length: %d\r\nx-header: y\r\n\r\n" % (status, len(body)) + body
    ends = [*sorted(cuts), len(reply)]
    pieces = [reply[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    server = Server([pieces])

    async def test(opened: SocketChannel) -> None:
        assert await post(opened) == (status, body)

    run(server, test)

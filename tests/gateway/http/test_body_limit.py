"""How much a caller may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from gateway.http.body_limit import BodyLimitMiddleware
from gateway.http.problems import TooLarge

LIMIT = 100


async def read(chunks: list[bytes], announced: bytes | None = None) -> tuple[int, int]:
    """The status that was answered (0: the app was reached and answered nothing) and the bytes that the app read."""
    pending, sent, total = list(chunks), [0], [0]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in chunks:
            total[0] += len((await receive())["body"])

    async def receive() -> Message:
        return {"type": "http.request", "body": pending.pop(0), "more_body": bool(pending)}

    async def send(message: Message) -> None:
        sent[0] = message.get("status", sent[0])

    headers = [(b"content-length", announced)] if announced is not None else []
    scope = {"type": "http", "path": "/upload", "method": "POST", "headers": headers}
    await BodyLimitMiddleware(app, lambda _: LIMIT)(scope, receive, send)
    return sent[0], total[0]


@given(st.lists(st.binary(max_size=60), max_size=8))
@pytest.mark.anyio
async def test_counts_what_streams(chunks: list[bytes]) -> None:
    """A body passes whole up to the limit, and is ended where it grows over it, however it is cut."""
    size = sum(map(len, chunks))
    if size <= LIMIT:
        assert await read(chunks) == (0, size)
    else:
        with pytest.raises(TooLarge):
            await read(chunks)


@pytest.mark.anyio
async def test_refuses_an_announced_excess_unread() -> None:
    """A Content-Length over the limit is 413 before a byte is read."""
    assert await read([b"x"], announced=b"101") == (413, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("announced", [b"1", b"0", b"-5", b"many", b""])
async def test_trusts_no_header(announced: bytes) -> None:
    """A Content-Length that lies does not let more through."""
    with pytest.raises(TooLarge):
        await read([b"x" * 101], announced=announced)

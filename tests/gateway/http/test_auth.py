"""Who may call."""

from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.http.auth import OPEN_PATHS, ApiKeyMiddleware


async def call(headers: list[tuple[bytes, bytes]], path: str = "/upload") -> int:
    """The status of a request whose body must not be read before the app is reached."""
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    await ApiKeyMiddleware(app, [b"first", b"second"])(scope, receive, send)
    return int(sent[0]["status"])


Status = Callable[[list[tuple[bytes, bytes]]], Awaitable[int]]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"wrong")],
        [(b"x-api-key", b"firs")],
        [(b"x-api-key", b"first,second")],
        [(b"x-api-key", "schlüssel".encode())],
        [(b"x-api-key", b"\xff\xfe")],
        [(b"x-api-key", b"first"), (b"x-api-key", b"wrong")],
        [(b"authorization", b"first")],
    ],
)
async def test_refuses_what_is_no_key(headers: list[tuple[bytes, bytes]]) -> None:
    """Anything but exactly one valid key is 401, and the body stays unread."""
    assert await call(headers) == 401


@pytest.mark.anyio
@pytest.mark.parametrize("key", [b"first", b"second"])
async def test_accepts_each_key(key: bytes) -> None:
    """Each of several keys is accepted, so that a key can be changed without a gap."""
    assert await call([(b"x-api-key", key)]) == 200


@pytest.mark.anyio
@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_probes_need_no_key(path: str) -> None:
    """Probes, metrics and documentation are read without a key."""
    assert await call([], path) == 200


@pytest.mark.anyio
async def test_unknown_paths_need_a_key() -> None:
    """A path that does not exist tells a stranger nothing."""
    assert await call([], "/admin") == 401

"""How much a caller may send: counted while it streams, whatever the Content-Length says."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.problems import TooLarge, problem_response

LARGE_BODY_BYTES = 262_144
"""A larger body is worked on apart from smaller ones: by another process where there is one, else by another thread."""


class BodyLimitMiddleware:
    """Ends a request whose body grows over the limit of its path; `until_sent` in its state lasts as long as it."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        """Takes the limit in bytes as a function of the path."""
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 413 to an announced excess at once; raises TooLarge in the reader at a streamed one."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.limit(scope["path"])
        if announced_length(scope["headers"]) > limit:
            return await problem_response(too_large(limit))(scope, receive, send)
        with ExitStack() as scope.setdefault("state", {})["until_sent"]:
            return await self.app(scope, _counted(receive, limit), send)


def too_large(limit: int) -> TooLarge:
    """The problem that states the limit."""
    return TooLarge(f"The limit is {limit} bytes.")


def announced_length(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """The length that a request says its body has; 0 where it says none, or what is no length."""
    values = [value for name, value in headers if name == b"content-length"]
    return int(values[0]) if values and values[0].isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise too_large(limit)
        return message

    return counting

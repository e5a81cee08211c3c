"""A fast path for requests that are plain and many: around all that they do not need.

For one transaction the checks of a body that arrives, FastAPI's matching of a path, its dependencies and its exit
stacks took more processor time than to read, score and answer it. A request goes along here where nothing of it is
left to be decided: method, path and query stand in a table, it has a key, and its body is small and has arrived. Every
other one, wrong ones among them, takes the way through the other middleware and FastAPI.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.auth import AUTHORISED, has_key
from gateway.http.body_limit import announced_length
from gateway.http.problems import Problem, problem_response
from gateway.http.protocol import WHOLE

Handler = Callable[[Request, bytes], Awaitable[Response]]
"""Takes a request and its body."""


class FastPathMiddleware:
    """Answers plain requests; the middleware around it has observed them."""

    def __init__(
        self, app: ASGIApp, handlers: Mapping[tuple[str, str, bytes], Handler], keys: Sequence[bytes], max_bytes: int
    ) -> None:
        """Takes handlers by method, path and query string, the keys, and the largest body."""
        self.app = app
        self._handlers = handlers
        self._keys = keys
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or calls the app."""
        handler = self._handler(scope)
        if handler is None:
            return await self.app(scope, receive, send)
        scope[AUTHORISED] = True
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        with ExitStack() as scope["state"]["until_sent"]:
            try:
                response = await handler(Request(scope), message["body"])
            except Problem as problem:
                response = problem_response(problem)
            return await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler | None:
        """None where anything is not plain: then it is for others to say so."""
        if not scope.get(WHOLE):
            return None
        handler = self._handlers.get((scope["method"], scope["path"], scope["query_string"]))
        is_plain = handler and 0 < announced_length(scope["headers"]) <= self._max_bytes and has_key(scope, self._keys)
        return handler if is_plain and all(name != b"content-encoding" for name, _ in scope["headers"]) else None

"""A fast path around the router, for requests that are plain and many.

FastAPI matches a path, solves dependencies and wraps each request in three exit stacks: for one transaction that took
more processor time than to read, score and answer it. A request whose method, path and query stand in a table is
handed to its handler at once; every other one, wrong ones among them, goes through FastAPI as ever.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import Problem, problem_response

Handler = Callable[[Request], Awaitable[Response]]


class FastPathMiddleware:
    """The innermost middleware."""

    def __init__(self, app: ASGIApp, handlers: Mapping[tuple[str, str, bytes], Handler]) -> None:
        """Takes handlers by method, path and query string."""
        self.app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or calls the app."""
        handler = self._handler(scope)
        if handler is None:
            return await self.app(scope, receive, send)
        try:
            response = await handler(Request(scope, receive, send))
        except Problem as problem:
            response = problem_response(problem)
        return await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler | None:
        if scope["type"] != "http":
            return None
        return self._handlers.get((scope["method"], scope["path"], scope["query_string"]))

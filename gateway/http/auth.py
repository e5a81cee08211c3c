"""Who may call: plain ASGI, so that a caller without a key is refused before a byte of the body is read."""

import hmac
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.problems import NotAuthorised, problem_response

OPEN_PATHS = frozenset({"/", "/livez", "/readyz", "/health", "/metrics", "/docs", "/openapi.json"})
"""What probes, Prometheus and a browser read without a key: none of it shows a transaction."""

AUTHORISED = "gateway.authorised"
"""In the scope of a request that came with a key."""


class ApiKeyMiddleware:
    """Lets a request through whose X-API-Key is one of the keys."""

    def __init__(self, app: ASGIApp, keys: Sequence[bytes]) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401 at once, or calls the app."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
        elif has_key(scope, self.keys):
            scope[AUTHORISED] = True
            await self.app(scope, receive, send)
        else:
            await problem_response(NotAuthorised())(scope, receive, send)


def has_key(scope: Scope, keys: Sequence[bytes]) -> bool:
    """Whether a request came with one of the keys, once."""
    values = [value for name, value in scope["headers"] if name == b"x-api-key"]
    # Every key is compared, in constant time, so that the time tells nothing of the keys.
    matches = [hmac.compare_digest(values[0], key) for key in keys] if len(values) == 1 else []
    return any(matches)

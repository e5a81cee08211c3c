"""The outermost middleware: gives each request an id, one log line, one count, and an answer whatever happens."""

import os
import time
from collections.abc import Collection

import httpx
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.auth import AUTHORISED
from gateway.http.log_sampling import LogSampler
from gateway.http.problems import problem_of, problem_response
from gateway.http.request_log_context import RequestLogContext, request_log_context
from gateway.http.safe_names import is_safe_request_id
from gateway.logs import log
from gateway.metrics import Metrics

CLIENT_GONE = 499
"""What nginx logs for a caller who left before the answer; nobody receives it."""
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked several times a second by balancers: what is well is counted, and not logged."""


class ObservationMiddleware:
    """Sees every request and every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str]) -> None:
        """Takes the known paths: any other path is counted as one, since callers choose them."""
        self.app = app
        self.metrics = metrics
        self.routes = routes
        self._sampling = LogSampler()
        self._log = log.bind()  # Once: it is a quarter of a line's time.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the app under a request id."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request_id = _request_id(scope)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        body = _ReceiveChannel(scope, receive)
        response = _SendChannel(send, request_id, body)
        started = time.perf_counter()
        with request_log_context() as context:
            try:
                await self._guarded(scope, body, response)
            finally:
                self._record(scope, response.status, time.perf_counter() - started, context)
                structlog.contextvars.unbind_contextvars("request_id")

    async def _guarded(self, scope: Scope, receive: Receive, response: "_SendChannel") -> None:
        try:
            await self.app(scope, receive, response)
        except ClientDisconnect:
            response.status = response.status or CLIENT_GONE
        except Exception as error:  # noqa: BLE001 - the last place where a defect can become an honest answer
            log.error("request failed", exc_info=error)
            if not response.status:
                await problem_response(problem_of(error))(scope, receive, response)

    def _record(self, scope: Scope, status: int, seconds: float, context: RequestLogContext) -> None:
        route = scope["path"] if scope["path"] in self.routes else "unmatched"
        method = scope["method"] if scope["method"] in {"GET", "HEAD", "POST"} else "other"
        self.metrics.request(method, route, status)
        milliseconds = round(seconds * 1e3, 3)
        quiet = route in PROBES and status == httpx.codes.OK
        if not quiet and (scope.get(AUTHORISED) or self._sampling.is_first(status)):
            self._log.info(
                "request", method=method, route=route, status=status, milliseconds=milliseconds, **context.fields()
            )


class _ReceiveChannel:
    """The receive channel: notes whether the body was read to its end."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self.unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

    async def __call__(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self.unread = False
        return message


class _SendChannel:
    """The send channel: notes the status, adds the request id, and closes behind a body that nobody read."""

    def __init__(self, send: Send, request_id: str, body: _ReceiveChannel) -> None:
        self._send = send
        self._body = body
        self._header = (b"x-request-id", request_id.encode())
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            closing = [(b"connection", b"close")] if self._body.unread else []
            message["headers"] = [*message.get("headers", ()), self._header, *closing]
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The caller's own id where it is harmless to log and to echo, or a new one."""
    values: list[str] = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"]
    if len(values) == 1 and is_safe_request_id(values[0]):
        return values[0]
    return os.urandom(16).hex()

"""The fast path: what goes along it is answered as by the router."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from gateway.api.routes import FAST_PATH, router
from gateway.http.fast_path import FastPathMiddleware
from gateway.http.protocol import WHOLE

GOOD = {"transaction_id": "a", "timestamp": "2026-01-01T10:00:00", "amount": 10, "channel": "chip"}
BODIES = [json.dumps(body) for body in (GOOD, [GOOD] * 2, [GOOD, {}], [], [GOOD] * 40)] + ["", "{", '{"a":1,"a":2}']
UNKNOWN = "by_the=router"
"""A parameter that no route has: FastAPI ignores it, and the fast path has no such query."""


class Arrived:
    """An app whose requests have arrived whole before it is called, as small ones have from a real connection."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the app."""
        await self._app({**scope, WHOLE: True} if scope["type"] == "http" else scope, receive, send)


@pytest.fixture
def arrived(client: TestClient) -> Iterator[TestClient]:
    """The gateway over connections from which requests come whole."""
    with TestClient(Arrived(client.app), headers=client.headers) as other:  # type: ignore[arg-type] # the fixture's app is FastAPI's
        yield other


def parts(answer: Any) -> tuple[int, str, dict[str, str]]:  # noqa: ANN401 - the test client's own kind of answer
    """What an answer says, but for its own id, and whether a body that nobody read ends the connection."""
    return answer.status_code, answer.text, {**answer.headers, "x-request-id": "", "connection": ""}


@pytest.mark.parametrize(("method", "path", "query"), FAST_PATH)
@pytest.mark.parametrize("body", BODIES)
def test_it_answers_as_the_router_does(arrived: TestClient, method: str, path: str, query: bytes, body: str) -> None:
    """Scores, faults and what is no JSON, to the header."""
    text = query.decode()
    fast = arrived.request(method, f"{path}?{text}", content=body)
    routed = arrived.request(method, f"{path}?{text}&{UNKNOWN}" if text else f"{path}?{UNKNOWN}", content=body)
    assert parts(fast) == parts(routed)


def test_it_is_a_route_too(client: TestClient) -> None:
    """Each of its paths is one that the document shows."""
    paths = {(method, getattr(each, "path", "")) for each in router.routes for method in getattr(each, "methods", ())}
    assert {(method, path) for method, path, _ in FAST_PATH} <= paths
    assert client.request("GET", "/v1/score").status_code == httpx.codes.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("headers", [{"X-API-Key": "wrong"}, {"content-type": "text/csv"}, {"content-length": "x"}])
def test_it_lies_behind_all_checks(arrived: TestClient, headers: dict[str, str]) -> None:
    """A wrong key or kind of body is refused on it as on the router's way."""
    fast, routed = (arrived.post(f"/v1/score{query}", headers=headers, content="{}") for query in ("", f"?{UNKNOWN}"))
    assert parts(fast) == parts(routed)
    assert fast.is_client_error


PLAIN = {
    "type": "http", "method": "POST", "path": "/v1/score", "query_string": b"", WHOLE: True,
    "headers": [(b"x-api-key", b"good"), (b"content-length", b"20")],
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"type": "lifespan", WHOLE: False},
        {WHOLE: False},
        {"query_string": b"on_error=strange"},
        {"path": "/v1/score/"},
        {"headers": [(b"content-length", b"20")]},
        {"headers": [(b"x-api-key", b"good"), (b"x-api-key", b"good"), (b"content-length", b"20")]},
        {"headers": [(b"x-api-key", b"good"), (b"content-length", b"101")]},
        {"headers": [(b"x-api-key", b"good")]},
    ],
)
def test_all_else_goes_to_the_app(change: dict[str, object]) -> None:
    """Whatever is not in the table to the letter, has no key, or has a body that is large or still to come."""
    fast_path = FastPathMiddleware(lambda *_: None, FAST_PATH, [b"good"], max_bytes=100)  # type: ignore[arg-type] # it is not called
    assert fast_path._handler(PLAIN) is not None
    assert fast_path._handler({**PLAIN, **change}) is None

"""The fast path: what goes along it is answered as by the router."""

import json
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from gateway.api.routes import FAST_PATH, router
from gateway.http.fast_path import FastPathMiddleware

GOOD = {"transaction_id": "a", "timestamp": "2026-01-01T10:00:00", "amount": 10, "channel": "chip"}
BODIES = [json.dumps(body) for body in (GOOD, [GOOD] * 2, [GOOD, {}], [], [GOOD] * 40)] + ["", "{", '{"a":1,"a":2}']
UNKNOWN = "by_the=router"
"""A parameter that no route has: FastAPI ignores it, and the fast path has no such query."""


def parts(answer: Any) -> tuple[int, str, dict[str, str]]:  # noqa: ANN401 - the test client's own kind of answer
    """What an answer says, but for its own id."""
    return answer.status_code, answer.text, {**answer.headers, "x-request-id": ""}


@pytest.mark.parametrize(("method", "path", "query"), FAST_PATH)
@pytest.mark.parametrize("body", BODIES)
def test_it_answers_as_the_router_does(client: TestClient, method: str, path: str, query: bytes, body: str) -> None:
    """Scores, faults and what is no JSON, to the header."""
    text = query.decode()
    fast = client.request(method, f"{path}?{text}", content=body)
    routed = client.request(method, f"{path}?{text}&{UNKNOWN}" if text else f"{path}?{UNKNOWN}", content=body)
    assert parts(fast) == parts(routed)


def test_it_is_a_route_too(client: TestClient) -> None:
    """Each of its paths is one that the document shows."""
    paths = {(method, getattr(each, "path", "")) for each in router.routes for method in getattr(each, "methods", ())}
    assert {(method, path) for method, path, _ in FAST_PATH} <= paths
    assert client.request("GET", "/v1/score").status_code == httpx.codes.METHOD_NOT_ALLOWED


@pytest.mark.parametrize("headers", [{"X-API-Key": "wrong"}, {"content-type": "text/csv"}, {"content-length": "x"}])
def test_it_lies_behind_all_checks(client: TestClient, headers: dict[str, str]) -> None:
    """A wrong key or kind of body is refused on it as on the router's way."""
    fast, routed = (client.post(f"/v1/score{query}", headers=headers, content="{}") for query in ("", f"?{UNKNOWN}"))
    assert parts(fast) == parts(routed)
    assert fast.is_client_error


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "lifespan"},
        {"type": "http", "method": "POST", "path": "/v1/score", "query_string": b"on_error=strange"},
        {"type": "http", "method": "POST", "path": "/v1/score/", "query_string": b""},
    ],
)
def test_all_else_goes_to_the_app(scope: dict[str, object]) -> None:
    """Whatever is not in the table to the letter."""
    assert FastPathMiddleware(lambda *_: None, FAST_PATH)._handler(scope) is None  # type: ignore[arg-type]

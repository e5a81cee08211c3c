"""Log lines of requests that nobody has shown a key for."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.http.log_sampling import LogSampler
from tests.gateway.waiting import until


def lines_of(file: Path, event: str) -> list[dict[str, Any]]:
    """The lines of an event."""
    return [line for line in map(json.loads, file.read_text().splitlines()) if line["event"] == event]


@pytest.mark.anyio
async def test_one_speaks_for_many(log_lines: Path) -> None:
    """Of each status the first is written; the others are counted in a line that follows, and then it begins anew."""
    sampling = LogSampler(0.05)
    assert [sampling.is_first(status) for status in (401, 401, 400, 401, 401)] == [True, False, True, False, False]
    async with asyncio.timeout(30):
        while not lines_of(log_lines, "more requests without a key"):  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
    (logged_lines,) = lines_of(log_lines, "more requests without a key")
    assert (logged_lines["status"], logged_lines["count"], sampling.is_first(401)) == (401, 3, True)


def test_many_wrong_keys_are_a_few_lines(client: TestClient, log_lines: Path) -> None:
    """All are counted in the metric; the log has two lines a second, and loses no count."""
    started = time.monotonic()
    for _ in range(300):
        assert client.get("/v1/contract", headers={"x-api-key": "wrong"}).status_code == 401
    assert 'route="/v1/contract",status="401"} 300.0' in client.get("/metrics").text

    def refused() -> list[dict[str, Any]]:
        return [line for line in lines_of(log_lines, "request") if line["status"] == 401]

    def logged_lines() -> int:
        client.get("/livez")
        counts: list[int] = [line["count"] for line in lines_of(log_lines, "more requests without a key")]
        return len(refused()) + sum(counts)

    until(lambda: logged_lines() == 300)
    assert len(refused()) <= 1 + time.monotonic() - started


def test_who_has_a_key_is_logged_each_time(client: TestClient, log_lines: Path) -> None:
    """A request with a key has a line of its own, whatever becomes of it."""
    for _ in range(5):
        client.get("/nowhere")
    assert len([line for line in lines_of(log_lines, "request") if line["status"] == 404]) == 5


def test_successful_probes_are_not_logged(client: TestClient, log_lines: Path) -> None:
    """What balancers ask several times a second is neither written nor counted in the log."""
    for _ in range(20):
        client.get("/livez")
    assert not lines_of(log_lines, "more requests without a key")

"""A machine at half its speed: history is there while Redis is well, however late everybody is."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.gateway.conftest import Serve
from tests.gateway.remembering import history_server, line, upload
from tests.gateway.trials import Valkey
from tests.tiny import TinyServer

LARGE, FILES, SINGLES = 6_000, 4, 200
SPINNING = "import time; until = time.monotonic() + 120\nwhile time.monotonic() < until: pass"


@pytest.fixture
def model_server(tmp_path: Path) -> TinyServer:
    """Holds version 1, which looks at the card's history."""
    return history_server(tmp_path)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that do nothing but compute; they end by themselves, should nobody end them."""
    spinning = [subprocess.Popen([sys.executable, "-c", SPINNING]) for _ in range(processes)]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.wait()


def test_no_answer_is_degraded_while_redis_is_well(serve: Serve, valkey: Valkey) -> None:
    """Single rows beside large files, with the timeout that a deployment has, and two busy loops beside."""
    client = serve(redis_url=valkey.url)

    def large(number: int) -> list[str]:
        return degraded(client, [line(f"{number}-{n}", f"c{n % 900}", n) for n in range(LARGE)])

    def single(number: int) -> list[str]:
        return degraded(client, [line(f"single-{number}", f"c{number % 900}")])

    with busy(2), ThreadPoolExecutor(3) as threads:
        files = [threads.submit(large, number) for number in range(FILES)]
        assert [single(number) for number in range(SINGLES)] == [[]] * SINGLES
        assert [each.result() for each in files] == [[]] * FILES


def degraded(client: TestClient, lines: list[str]) -> list[str]:
    """What was missing when these rows were scored."""
    missing: list[str] = upload(client, lines).get("degraded", [])
    return missing

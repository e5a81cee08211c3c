"""`fraud history load` ends a loss: a real gateway, a real Valkey that is emptied under it, and the command."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from operations.cli import commands
from operations.store.registry import Registry
from tests import valkey
from tests.gateway.process import KEY, Gateway
from tests.gateway.remembering import CARDS, HEADER, count, history_server
from tests.keys import HISTORY_KEY
from tests.operations.history.pasts import add, client_of, make_live

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Redis]]:
    """A Valkey that gateway and command know."""
    monkeypatch.chdir(tmp_path)
    for name in ("MODEL_PATH", "KNOWN_DAYS", "REDIS_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "valkey").mkdir()
    with valkey.running(tmp_path / "valkey") as it, closing(client_of(it)) as client:
        monkeypatch.setenv("REDIS_URL", it.url)
        monkeypatch.setenv("HISTORY_KEY", HISTORY_KEY)
        yield it.url, client


@pytest.fixture
def gateway(tmp_path: Path, redis: tuple[str, Redis]) -> Iterator[Gateway]:
    """One that scores by version 1, which is in the store of this directory too."""
    registry, server = Registry(tmp_path / "model_store"), history_server(tmp_path)
    add(registry, 1, CARDS)
    make_live(registry, 1)
    gateway = Gateway(tmp_path, server, REDIS_URL=redis[0], HISTORY_KEY=HISTORY_KEY)
    with closing(gateway):
        gateway.until_it_is("ready")
        yield gateway


def csv(first: str, days: list[float]) -> bytes:
    """A transaction of one card so many days ago each."""
    moments = [(NOW - timedelta(days=each)).strftime("%Y-%m-%dT%H:%M:%S") for each in days]
    rows = [f"{first}-{number},{moment},c,s,10" for number, moment in enumerate(moments)]
    return "\n".join([HEADER, *rows, ""]).encode()


def scored(gateway: Gateway, name: str) -> tuple[int, bool]:
    """How many transactions of its card one of now saw, and whether the answer says that some may be missing."""
    headers = {"X-API-Key": KEY, "content-type": "text/csv"}
    url = f"{gateway.url}/upload?record=false"
    answer: dict[str, Any] = httpx.post(url, content=csv(name, [0]), headers=headers, trust_env=False).json()
    return count(answer["predictions"][0]["fraud_probability"]), answer.get("degraded") == ["history"]


def reason(gateway: Gateway) -> str | None:
    """Why /health says that history falls short."""
    result: str | None = httpx.get(f"{gateway.url}/health", trust_env=False).json()["components"]["history"]["reason"]
    return result


def load(file: str, body: bytes) -> str:
    """What the command says of it."""
    Path(file).write_bytes(body)
    done = CliRunner().invoke(commands, ["history", "load", file])
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


def test_a_load_ends_a_loss_when_it_goes_back_far_enough(gateway: Gateway, redis: tuple[str, Redis]) -> None:
    """A file of a few days does not, and says so; one as long as the longest window does, for a gateway that runs."""
    gateway.until(lambda: scored(gateway, "first") == (0, False))
    redis[1].flushall()
    gateway.until(lambda: scored(gateway, "lost") == (0, True))
    assert "answers stay degraded" in load("days.csv", csv("a", [3, 2, 1]))
    assert scored(gateway, "some") == (3, True)
    assert "degraded" not in load("whole.csv", csv("b", [60, 50, 20, 10, 1]))
    gateway.until(lambda: scored(gateway, "all") == (6, False))
    gateway.until(lambda: reason(gateway) is None)

"""Where the release record is read, and what the gateway does while it cannot be."""

import asyncio
import gzip
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import HttpUrl
from starlette.testclient import TestClient

from gateway.models import release_record as source
from gateway.models.release_record import RecordFile, connect_record
from releases.record import Release
from tests.gateway.conftest import Serve
from tests.gateway.serving_http import RecordServer, record
from tests.gateway.trials import CANARY, TrialGateway
from tests.gateway.waiting import until
from tests.tiny import GOLDEN_CSV, TinyServer, write_version


@pytest.fixture
def server() -> Iterator[RecordServer]:
    """Serves a record that has version 1 live."""
    server = RecordServer()
    yield server
    server.die()


@pytest.fixture
def two(model_server: TinyServer, tmp_path: Path) -> TinyServer:
    """Holds versions 1 and 2."""
    model_server.serve(write_version(tmp_path / "v2", 2), 2)
    return model_server


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost answer is not bridged for long."""
    monkeypatch.setattr(source, "STALE_SECONDS", 0.05)


def scored_by(client: TestClient) -> int:
    """The version that scores now."""
    answer = client.post("/upload", content=GOLDEN_CSV, headers={"content-type": "text/csv"})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["model_version"])


def model(client: TestClient) -> dict[str, int | None]:
    """The live version in /health."""
    found: dict[str, int | None] = client.get("/health").json()["components"]["model"]
    return found


def until_it_is_read(client: TestClient, server: RecordServer, times: int) -> None:
    """Waits until the record was asked for so often."""
    least = server.asked.total() + times
    until(lambda: client.get("/livez").is_success and server.asked.total() >= least)


def test_a_served_record_is_followed(serve: Serve, server: RecordServer, two: TinyServer) -> None:
    """The version that the address names is adopted, and so is the next one that it names."""
    client = serve(release_record=HttpUrl(server.url))
    assert scored_by(client) == 1
    server.body = record(2, 1)
    until(lambda: scored_by(client) == 2)
    assert model(client) == {"version": 2, "recorded_version": 2, "instead_of": None}


def test_a_server_that_dies_changes_nothing_and_is_followed_again(
    serve: Serve, server: RecordServer, two: TinyServer, short_timeout: None
) -> None:
    """Without it the live version goes on and /health is degraded; when it is back, what it says then is followed."""
    client = serve(release_record=HttpUrl(server.url))
    server.die()
    until(lambda: model(client)["recorded_version"] is None)
    assert client.get("/health").json()["status"] == "degraded"
    assert (scored_by(client), client.get("/readyz").status_code) == (1, 200)
    server.body = record(2, 1)
    server.start()
    until(lambda: scored_by(client) == 2)


def test_it_need_not_be_there_at_the_start(serve: Serve, server: RecordServer) -> None:
    """A gateway that starts first waits for it."""
    server.die()
    client = serve(ready=False, release_record=HttpUrl(server.url))
    assert client.get("/readyz").status_code == 503
    server.start()
    until(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize(
    "answer",
    [
        (404, {}, record(2)),
        (503, {}, record(2)),
        (204, {}, b""),
        (302, {"location": "/elsewhere"}, record(2)),
        (200, {}, b"<html>"),
        (200, {}, b"[" * 60_000),
        (200, {}, record(2)[:-5]),
        (200, {}, record(2).ljust(source.MAX_BYTES + 1)),
        (200, {"content-encoding": "gzip"}, gzip.compress(record(2))),
        (200, {"content-length": "100000"}, record(2)),
    ],
)
def test_what_is_no_record_is_not_followed(
    serve: Serve, server: RecordServer, two: TinyServer, short_timeout: None, answer: tuple[int, dict[str, str], bytes]
) -> None:
    """Another status, a redirect, another content or one without end changes nothing but that health says so."""
    client = serve(release_record=HttpUrl(server.url))
    server.status, server.headers, server.body = answer
    until(lambda: model(client)["recorded_version"] is None)
    assert scored_by(client) == 1
    assert set(server.asked) == {"/release.json"}


def test_a_slow_server_delays_nothing(serve: Serve, server: RecordServer, model_server: TinyServer) -> None:
    """While it does not answer, files are scored, and a version that answered wrongly is proven afresh."""
    client = serve(release_record=HttpUrl(server.url))
    server.answering.clear()
    until_it_is_read(client, server, 1)
    assert [scored_by(client) for _ in range(20)] == [1] * 20
    model_server.fail = httpx.Response(200, content=b"wrong")
    assert client.post("/upload", content=GOLDEN_CSV, headers={"content-type": "text/csv"}).status_code == 503
    model_server.fail = None
    until(lambda: client.get("/v1/contract").status_code == 200)
    assert not server.answering.is_set()


def test_a_quarantined_version_comes_back_without_a_record(
    serve: Serve, model_server: TinyServer, tmp_path: Path
) -> None:
    """After a wrong answer the live version is proven afresh although the record is gone."""
    client = serve()
    (tmp_path / "release.json").unlink()
    until(lambda: model(client)["recorded_version"] is None)
    model_server.fail = httpx.Response(200, content=b"wrong")
    assert client.post("/upload", content=GOLDEN_CSV, headers={"content-type": "text/csv"}).status_code == 503
    model_server.fail = None
    until(lambda: client.get("/v1/contract").status_code == 200)


def test_one_failed_read_pauses_no_trial(
    trial_gateway: TrialGateway, server: RecordServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial goes on while failed reads are within STALE_SECONDS, and pauses afterwards."""
    monkeypatch.setattr(source, "STALE_SECONDS", 3600.0)
    server.body = Release(1, None, "2026-01-01T00:00:00+00:00", CANARY).to_bytes()
    client = trial_gateway.start(CANARY, release_record=HttpUrl(server.url))
    server.status = 503
    until_it_is_read(client, server, 5)
    assert trial_gateway.state()["status"] == "running"
    monkeypatch.setattr(source, "STALE_SECONDS", 0.05)
    trial_gateway.until_status("paused")
    assert trial_gateway.state()["reason"] == "record_unreadable"
    server.status = 200
    trial_gateway.until_status("running")


def test_the_record_is_read_once_for_all(serve: Serve, server: RecordServer) -> None:
    """However many versions are looked for, and however often health is asked, one reading serves them all."""
    client = serve(release_record=HttpUrl(server.url), follow_seconds=3600)
    assert [model(client)["recorded_version"] for _ in range(5)] == [1] * 5
    assert server.asked.total() == 1


def test_a_lost_record_is_logged_once(serve: Serve, tmp_path: Path, log_lines: Path) -> None:
    """One line says that the record cannot be read, and which version was the last recorded one."""
    client = serve()
    (tmp_path / "release.json").write_text("{")
    until(lambda: model(client)["recorded_version"] is None)
    assert scored_by(client) == 1
    lines = [line for line in log_lines.read_text().splitlines() if "unreadable" in line]
    assert len(lines) == 1
    assert '"version": 1' in lines[0]


@pytest.mark.anyio
async def test_a_server_that_drips_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes byte by byte has no more time than a whole one, each time."""
    monkeypatch.setattr(source, "READ_TIMEOUT_SECONDS", 0.05)
    dripping = list[asyncio.Task[None] | None]()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dripping.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not (reader.at_eof() or writer.is_closing()):
            writer.write(b" ")
            await asyncio.sleep(0.001)
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect_record(HttpUrl(f"http://127.0.0.1:{port}/")) as served:
            assert [await served.read() for _ in range(20)] == [None] * 20
        await asyncio.gather(*(task for task in dripping if task))


@pytest.mark.anyio
async def test_no_proxy_is_asked_for_the_record(server: RecordServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with connect_record(HttpUrl(server.url)) as served:
        assert await served.read() == Release.from_bytes(record(1))


def become_a_pipe(path: Path) -> None:
    """Nobody ever writes to it."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.anyio
@pytest.mark.parametrize("spoil", [Path.unlink, Path.mkdir, lambda path: path.write_bytes(b"{"), become_a_pipe])
async def test_a_file_that_is_none_is_no_record(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """A record that is absent, torn or no file is None, at once."""
    file = tmp_path / "release.json"
    if spoil is not Path.mkdir:
        file.write_bytes(record(1))
        assert await RecordFile(file).read() == Release.from_bytes(record(1))
    spoil(file)
    assert await RecordFile(file).read() is None


@pytest.mark.anyio
async def test_a_busy_gateway_does_not_blame_the_keeper(server: RecordServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered while the event loop was busy for longer than the timeout is read."""
    monkeypatch.setattr(source, "READ_TIMEOUT_SECONDS", 0.5)
    async with connect_record(HttpUrl(server.url)) as kept:
        reading = asyncio.create_task(kept.read())
        await asyncio.sleep(0)
        time.sleep(0.6)  # noqa: ASYNC251 - the loop is busy.
        found = await reading
    assert found is not None
    assert found.version == 1

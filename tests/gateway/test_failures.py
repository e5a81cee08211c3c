"""What callers see when the parts behind the gateway fail: honest, soon, and never another version's scores."""

import errno
import io
import logging
import sys
from pathlib import Path

import httpx
import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from contract.frame import Frame
from gateway.logs import configure
from releases.record import Release
from tests.gateway.conftest import Serve
from tests.gateway.waiting import until
from tests.tiny import CONTRACT, GOLDEN_CSV, TinyServer, write_version

CSV = {"content-type": "text/csv"}


def upload(client: TestClient) -> httpx2.Response:
    """The golden rows, uploaded."""
    return client.post("/upload", content=GOLDEN_CSV, headers=CSV)


def reply(version: int = 1, fingerprint: str = CONTRACT.fingerprint, values: list[list[float]] | None = None) -> bytes:
    """A frame that the model server might answer to two rows."""
    scores = np.array([[0.1], [0.2]] if values is None else values, dtype=np.float32)
    return Frame(version, fingerprint, scores).to_bytes()


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (httpx.ConnectError("refused"), 503),
        (httpx.ReadError("cut"), 503),
        (httpx.RemoteProtocolError("no HTTP"), 503),
        (httpx.ReadTimeout("slow"), 504),
        (httpx.Response(503), 503),
        (httpx.Response(500), 503),
        (httpx.Response(409), 503),
        (httpx.Response(200, content=b""), 503),
        (httpx.Response(200, content=b"<html>a proxy</html>"), 503),
        (httpx.Response(200, content=reply(version=2)), 503),
        (httpx.Response(200, content=reply(fingerprint="00" * 32)), 503),
        (httpx.Response(200, content=reply(values=[[0.1]])), 503),
        (httpx.Response(200, content=reply(values=[[0.1, 0.2], [0.1, 0.2]])), 503),
        (httpx.Response(200, content=reply(values=[[0.1], [1.5]])), 503),
        (httpx.Response(200, content=reply(values=[[0.1], [float("nan")]])), 503),
    ],
)
def test_a_failing_model_server_is_an_honest_503_or_504(
    client: TestClient, model_server: TinyServer, failure: Exception | httpx.Response, status: int
) -> None:
    """However the model server fails, the caller is told to try again and sees no score."""
    model_server.fail = failure
    answer = upload(client)
    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert "predictions" not in answer.text


def test_it_is_whole_again_by_itself(client: TestClient, model_server: TinyServer) -> None:
    """After wrong answers the version is proven again before it serves again."""
    model_server.fail = httpx.Response(200, content=b"wrong")
    assert upload(client).status_code == 503
    model_server.fail = None
    until(lambda: upload(client).status_code == 200)


def test_without_a_record_nothing_is_scored(serve: Serve, tmp_path: Path) -> None:
    """Until a version is recorded as live, scoring and readiness are 503 and liveness is 200."""
    client = serve(ready=False, release_record=tmp_path / "absent.json")
    assert [upload(client).status_code, client.get("/readyz").status_code] == [503, 503]
    assert client.get("/livez").status_code == 200
    assert client.get("/health").json()["model_status"] == "no_model"


def test_a_torn_record_changes_nothing(client: TestClient, tmp_path: Path) -> None:
    """A record that cannot be read leaves the version that serves."""
    (tmp_path / "release.json").write_bytes(b'{"version"')
    assert [upload(client).json()["model_version"] for _ in range(20)] == [1] * 20


def test_a_full_disk_delays_no_release(
    serve: Serve, model_server: TinyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version is adopted though that cannot be logged, and standard error is a file of the same disk."""
    client = serve()
    model_server.serve(write_version(tmp_path / "v2", 2), 2)
    configure(Path("/dev/full"), stream=False)
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        patch.setattr(logging.getLogger("httpx2"), "disabled", True)  # The caller's own lines are not what is tested.
        (tmp_path / "release.json").write_bytes(Release(2, 1, "2026-01-02T00:00:00+00:00").to_bytes())
        until(lambda: client.get("/v1/contract").json()["model_version"] == 2, seconds=20)


def test_a_version_that_is_not_there_is_not_adopted(client: TestClient, tmp_path: Path) -> None:
    """A record that names a version without workers leaves the one that serves."""
    (tmp_path / "release.json").write_bytes(Release(7, 1, "now").to_bytes())
    assert [upload(client).json()["model_version"] for _ in range(20)] == [1] * 20


def test_a_version_with_other_scores_is_not_adopted(
    client: TestClient, model_server: TinyServer, tmp_path: Path
) -> None:
    """A version whose golden rows come back otherwise than in training never serves."""
    model_server.serve(write_version(tmp_path / "v2", 2), 2)
    model_server.versions["2"].handler.model.slope = -0.01
    (tmp_path / "release.json").write_bytes(Release(2, 1, "now").to_bytes())
    assert [upload(client).json()["model_version"] for _ in range(20)] == [1] * 20


def test_readiness_is_the_golden_probe(serve: Serve, model_server: TinyServer) -> None:
    """Readiness fails when the live version no longer scores its golden rows as it did."""
    client = serve(follow_seconds=60)
    assert client.get("/readyz").status_code == 200
    model_server.versions["1"].handler.model.slope = -0.01
    until(lambda: client.get("/readyz").status_code == 503)


@pytest.mark.parametrize(
    ("error", "status"),
    [(OSError(errno.ENOSPC, "full"), 507), (MemoryError(), 503), (RuntimeError("a defect"), 500)],
)
def test_our_own_failures_are_ours(client: TestClient, model_server: TinyServer, error: Exception, status: int) -> None:
    """A full disk is 507, no memory 503, a defect 500: never a 4xx."""
    model_server.fail = error
    answer = upload(client)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "a defect" not in answer.text


def test_out_of_memory_in_one_of_many_blocks_is_ours(serve: Serve, model_server: TinyServer) -> None:
    """The same holds for a file that is scored in several blocks at once."""
    client = serve(block_rows=1)
    model_server.fail = MemoryError()
    assert upload(client).status_code == 503


def test_a_wrong_answer_does_not_lose_the_version_that_works(
    client: TestClient, model_server: TinyServer, tmp_path: Path
) -> None:
    """While the record names a version that cannot be proven, the one before comes back after a wrong answer."""
    (tmp_path / "release.json").write_bytes(Release(7, 1, "now").to_bytes())
    model_server.fail = httpx.Response(200, content=b"wrong")
    assert upload(client).status_code == 503
    model_server.fail = None
    until(lambda: upload(client).status_code == 200)
    assert "live_model_version 1.0" in client.get("/metrics").text


def test_no_proxy_sees_transactions(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """A proxy that the environment names is not used for the model server."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert upload(serve()).status_code == 200


def test_a_dead_redis_is_degraded_and_scores(serve: Serve) -> None:
    """Redis is not needed to score: without it health says degraded."""
    client = serve(redis_url="redis://127.0.0.1:1")
    assert upload(client).status_code == 200
    assert client.get("/health").json()["status"] == "degraded"
    assert client.get("/readyz").status_code == 200

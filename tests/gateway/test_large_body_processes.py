"""A gateway whose large bodies are served by a process of their own."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from gateway.http.body_limit import LARGE_BODY_BYTES
from tests.gateway.process import KEY, Gateway
from tests.gateway.test_processes import exposed, health, processes, ready
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer

HEADER = "transaction_id,timestamp,amount,age,channel"
ROWS = 10_000
FILE = "\n".join([HEADER, *(f"t{row},2026-01-01T10:00:00,10,30,chip" for row in range(ROWS)), ""]).encode()
UPLOADED = {"method": "POST", "route": "/upload", "status": "200"}


@pytest.fixture
def gateway(tmp_path: Path, model_server: TinyServer) -> Iterator[Gateway]:
    """One process that takes connections, one for large bodies; both are ready."""
    assert len(FILE) > LARGE_BODY_BYTES
    with ExitStack() as stack:
        gateway = Gateway(tmp_path, model_server, LARGE_BODY_PROCESSES="1", TMPDIR=str(tmp_path))
        stack.callback(gateway.close)
        gateway.until_it_is("ready")
        gateway.until(lambda: len(ready(gateway)) == 2)
        yield gateway


def upload(gateway: Gateway, file: bytes = FILE) -> int:
    """The status of an upload; 0 where the connection broke."""
    headers = {"X-API-Key": KEY, "content-type": "text/csv"}
    try:
        answer = httpx.post(
            f"{gateway.url}/upload", content=file, headers=headers, trust_env=False, timeout=WAIT_SECONDS
        )
    except httpx.TransportError:
        return 0
    return answer.status_code


def one_for_large_bodies(gateway: Gateway) -> psutil.Process:
    """The last one: it is no listener of the port."""
    port = httpx.URL(gateway.url).port
    (found,) = (
        each
        for each in processes(gateway)
        if not any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in each.net_connections())
    )
    return found


def test_large_bodies_are_served_by_a_process_of_their_own(gateway: Gateway, tmp_path: Path) -> None:
    """Small ones by the one that takes connections; both are counted together."""
    assert [upload(gateway), upload(gateway, FILE[: len(HEADER) + 50].rpartition(b"\n")[0])] == [200, 200]
    (file,) = tmp_path.glob("gateway-*/counter_2.db")
    assert b"/upload" in file.read_bytes()
    gateway.until(lambda: UPLOADED in [each.labels for each in exposed(gateway)["http_requests"].samples])
    (counted,) = (each.value for each in exposed(gateway)["http_requests"].samples if each.labels == UPLOADED)
    assert counted == 2


def test_while_it_is_away_single_transactions_go_on_and_large_bodies_wait(gateway: Gateway) -> None:
    """It is killed; what comes before another one is there is answered by that one."""
    one_for_large_bodies(gateway).kill()
    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(upload, gateway) for _ in range(4)]
        assert {gateway.score().status_code for _ in range(20)} == {200}
        assert [each.result() for each in uploads] == [200] * 4
    gateway.until(lambda: len(ready(gateway)) == 2)


def test_a_large_body_that_was_taken_is_answered_at_the_end(gateway: Gateway) -> None:
    """SIGTERM drains the process for large bodies like the others."""
    gateway.answering.clear()
    asked = gateway.model_server.asked.total()
    with ThreadPoolExecutor(1) as pool:
        uploaded = pool.submit(upload, gateway)
        gateway.until(lambda: gateway.model_server.asked.total() > asked)
        gateway.process.terminate()
        gateway.until_it_is("closed")
        gateway.answering.set()
        assert uploaded.result() == 200
    assert gateway.exit_status() == 0


def test_a_single_transaction_waits_for_no_large_body(gateway: Gateway) -> None:
    """While the process for large bodies is stopped in the middle of some, all others are answered."""
    stopped = one_for_large_bodies(gateway)
    stopped.suspend()
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        try:
            uploads = [pool.submit(upload, gateway) for _ in range(2)]
            assert {gateway.score().status_code for _ in range(20)} == {200}
            assert not any(each.done() for each in uploads)
        finally:
            stopped.resume()
        assert [each.result() for each in uploads] == [200, 200]
    assert time.monotonic() - began < WAIT_SECONDS
    assert health(gateway)["model"]["version"] == 1

"""A gateway of two processes: both serve, and whichever is asked answers for both."""

import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from operations.rollout.gateway_status import gateways_behind
from releases.record import Release
from tests.gateway.process import Gateway
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer, write_version

Start = Callable[..., Gateway]
SCORED = {"method": "POST", "route": "/v1/score", "status": "200"}
CALLS = 16


@pytest.fixture
def start(tmp_path: Path, model_server: TinyServer) -> Iterator[Start]:
    """Starts a gateway of two processes; both are ready when it returns. They leave no process and no file behind."""
    started = list[psutil.Process]()
    with ExitStack() as stack:

        def start(**env: str) -> Gateway:
            gateway = Gateway(tmp_path, model_server, **{"GATEWAY_PROCESSES": "2", "TMPDIR": str(tmp_path), **env})
            stack.callback(gateway.close)
            gateway.until_it_is("ready")
            gateway.until(lambda: len(ready(gateway)) == 2)
            started.extend(processes(gateway))
            return gateway

        yield start
    assert not psutil.wait_procs(started, timeout=WAIT_SECONDS)[1]
    assert not [*tmp_path.glob("gateway-*")]


def processes(gateway: Gateway) -> list[psutil.Process]:
    """The processes that serve requests."""
    return psutil.Process(gateway.process.pid).children()


def health(gateway: Gateway) -> Mapping[str, Any]:
    """The parts of /health, over a connection of its own."""
    parts = dict[str, Any]()

    def asked() -> bool:  # One that is suspended may have got the connection.
        with suppress(httpx.TimeoutException):
            parts.update(httpx.get(f"{gateway.url}/health", trust_env=False, timeout=2.0).json()["components"])
        return bool(parts)

    gateway.until(asked)
    return parts


def ready(gateway: Gateway) -> list[Mapping[str, Any]]:
    """The processes that take requests and can score them, by what they say."""
    return [each for each in health(gateway)["processes"] if each["listening"] and each["ready"]]


def exposed(gateway: Gateway) -> dict[str, Metric]:
    """What /metrics shows, by name; without what has no samples yet."""
    text = httpx.get(f"{gateway.url}/metrics", trust_env=False, timeout=WAIT_SECONDS).text
    return {each.name: each for each in text_string_to_metric_families(text) if each.samples}


def scored(metrics: Mapping[str, Metric]) -> float:
    """Scoring requests that were counted."""
    samples = metrics["http_requests"].samples if "http_requests" in metrics else []
    return sum(each.value for each in samples if each.labels == SCORED)


def score_together(gateway: Gateway, pool: ThreadPoolExecutor) -> list[int]:
    """Scores CALLS transactions at once; the statuses, 0 where the connection broke."""

    def status(_: int) -> int:
        try:
            return gateway.score().status_code
        except httpx.TransportError:
            return 0

    return [*pool.map(status, range(CALLS))]


def test_both_take_requests_and_one_answers_for_both(start: Start, tmp_path: Path) -> None:
    """Counters and histograms of /metrics are sums; each process has had some of the requests."""
    gateway = start()
    with ThreadPoolExecutor(CALLS) as pool:
        rounds = 0
        while rounds < 2 or not all(counted_by(tmp_path, process) for process in (1, 2)):
            assert score_together(gateway, pool) == [200] * CALLS
            rounds += 1
            assert rounds < 100
    metrics = exposed(gateway)
    latency = next(each for each in metrics["prediction_latency_seconds"].samples if each.name.endswith("_count"))
    assert scored(metrics) == latency.value == rounds * CALLS
    assert sum(counted_by(tmp_path, process) for process in (1, 2)) == rounds * CALLS


def counted_by(directory: Path, process: int) -> float:
    """Scoring requests that one process has counted."""
    files = map(str, directory.glob(f"gateway-*/counter_{process}.db"))
    merged = MultiProcessCollector.merge(list(files))  # type: ignore[no-untyped-call]
    return scored({each.name: each for each in merged})


def test_metrics_are_those_of_one_process(start: Start, tmp_path: Path, model_server: TinyServer) -> None:
    """Each has the same name, type, text and labels, and the same values after the same requests."""
    two, alone = start(), Gateway(tmp_path, model_server, GATEWAY_PROCESSES="1")
    try:
        alone.until_it_is("ready")
        assert processes(alone) == []
        first, second = (_after_a_request(gateway) for gateway in (alone, two))
    finally:
        alone.close()
    assert first == second


def _after_a_request(gateway: Gateway) -> set[tuple[object, ...]]:
    assert gateway.score().status_code == 200
    return {
        (each.name, each.documentation, each.type, sample.name, *sorted(sample.labels.items()), _value(sample))
        for each in exposed(gateway).values()
        for sample in each.samples
        if sample.labels.get("route") not in ("/readyz", "/health", "/metrics")
        and sample.labels.get("stage") != "read"  # Only where the body arrived behind its head.
    }


def _value(sample: Any) -> float | None:  # noqa: ANN401 - prometheus_client has no public type of it
    """The value, but where it says how long something took or depends on how many probed."""
    return None if "seconds" in sample.name or sample.name.startswith("model_requests") else sample.value


def test_one_that_is_killed_takes_only_its_own_requests(start: Start) -> None:
    """The others go on, readiness stays, what was counted is not lost, and soon there are two again."""
    gateway = start()
    with ThreadPoolExecutor(CALLS) as pool:
        before = score_together(gateway, pool).count(200)
        gateway.until(lambda: scored(exposed(gateway)) == before)
        victim, _ = processes(gateway)
        victim.kill()
        during = [score_together(gateway, pool), score_together(gateway, pool)]
        assert set(during[1]) == {200}
        assert gateway.readiness() == "ready"
        gateway.until(lambda: victim not in processes(gateway) and len(ready(gateway)) == 2)
        after = score_together(gateway, pool)
    certain = before + during[1].count(200) + after.count(200)  # It may have answered without having counted yet.
    gateway.until(lambda: certain <= scored(exposed(gateway)) <= certain + during[0].count(200))
    assert gateway.process.poll() is None


def test_what_was_taken_is_answered_by_all(start: Start) -> None:
    """SIGTERM drains every process: no more requests are taken, and each that was taken is answered."""
    gateway = start()
    with ThreadPoolExecutor(CALLS) as pool:
        gateway.answering.clear()
        asked = gateway.model_server.asked.total()
        answers = [pool.submit(gateway.score) for _ in range(CALLS)]
        gateway.until(lambda: gateway.model_server.asked.total() > asked)
        gateway.until(lambda: _connections(gateway) >= CALLS)
        gateway.process.terminate()
        gateway.until_it_is("closed")
        gateway.answering.set()
        assert {answer.result().status_code for answer in answers} == {200}
    assert gateway.exit_status() == 0


def _connections(gateway: Gateway) -> int:
    """Connections that processes of the gateway have taken."""
    port = httpx.URL(gateway.url).port
    every = (connection for process in processes(gateway) for connection in process.net_connections())
    return len([each for each in every if each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED])


def test_the_delay_is_that_of_all(start: Start) -> None:
    """During the delay all say that they end, and still answer; a second signal ends it for all."""
    gateway = start(DRAIN_DELAY_SECONDS="300")
    gateway.process.terminate()
    gateway.until_it_is("draining")
    with ThreadPoolExecutor(CALLS) as pool:
        assert set(score_together(gateway, pool)) == {200}
    gateway.process.terminate()
    assert gateway.exit_status() == 0


def test_none_outlives_the_one_that_started_them(start: Start) -> None:
    """Killed with no chance to tell the others, it takes them along; the port is free, and no file is left."""
    gateway = start(DRAIN_DELAY_SECONDS="300")
    children = processes(gateway)
    gateway.process.kill()
    assert not psutil.wait_procs(children, timeout=WAIT_SECONDS)[1]
    with socket.create_server(("127.0.0.1", httpx.URL(gateway.url).port or 0)):
        assert gateway.process.wait() == -signal.SIGKILL


def test_a_release_is_not_over_before_all_follow(start: Start, tmp_path: Path, model_server: TinyServer) -> None:
    """While one process does not follow, `fraud release` is told of no version; then of the new one."""
    gateway = start()
    model_server.serve(write_version(tmp_path / "v2", version=2), version=2)
    late, other = processes(gateway)
    late.suspend()
    try:
        new = tmp_path / "release.new"
        new.write_bytes(Release(2, 1, datetime.now(UTC).isoformat()).to_bytes())
        new.replace(tmp_path / "release.json")
        gateway.until(lambda: 2 in {each["version"] for each in health(gateway)["processes"]})
        assert health(gateway)["model"] == {"version": None, "recorded_version": 2, "instead_of": None}
        assert gateways_behind(gateway.url, 2, timeout=0.5) == [gateway.url]
    finally:
        late.resume()
    assert gateways_behind(gateway.url, 2, timeout=WAIT_SECONDS) == []
    assert other in processes(gateway)
    with ThreadPoolExecutor(CALLS) as pool:
        answers = [pool.submit(gateway.score) for _ in range(CALLS)]
        assert {answer.result().json()["model_version"] for answer in answers} == {2}


def test_a_port_that_is_taken_is_said_once(tmp_path: Path, model_server: TinyServer) -> None:
    """The gateway ends, and starts no process."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = Gateway(tmp_path, model_server, GATEWAY_PROCESSES="2", PORT=str(port))
        try:
            assert gateway.exit_status() == 1
        finally:
            gateway.close()
    (line,) = (tmp_path / "gateway.log").read_text().splitlines()
    assert line.startswith(f"the gateway cannot listen on 127.0.0.1:{port}: Address already in use")

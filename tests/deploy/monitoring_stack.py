"""A real Prometheus that scrapes two real gateways, and what TorchServe and the keeper showed when they were real."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import httpx
import yaml

from history.label_update import COUNTS
from releases.record import Release
from tests import valkey
from tests.deploy.monitoring_exposed import RECORDINGS, keeper
from tests.deploy.monitoring_panels import MONITORING
from tests.gateway.serving_http import Quiet, free_port, over_http
from tests.keys import HISTORY_KEY
from tests.timeouts import WAIT_SECONDS
from tests.tiny import HEADER, TinyServer, write_version

KEY = "test-key"
ROW = "t-{0},2026-01-01T10:00:00,{0}000,30,chip"


def until(condition: Callable[[], bool]) -> None:
    """Waits for a condition, at most a minute."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Whether a server says 200."""
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def score(gateway: str) -> None:
    """An upload that is scored, one that is at fault, and one without a key."""
    key = {"X-API-Key": KEY}
    csv = "\n".join([HEADER, *(ROW.format(place) for place in range(3))])
    for body, headers in ((csv, key), ("nonsense", key), (csv, {})):
        httpx.post(f"{gateway}/upload", content=body, headers={"content-type": "text/csv", **headers})


@contextmanager
def gateways(directory: Path, count: int) -> Iterator[list[str]]:
    """Real gateways, as processes, that score by a tiny model; version 1 is live."""
    server = TinyServer()
    server.serve(write_version(directory / "v1"))
    record = directory / "release.json"
    record.write_bytes(Release(1, None, datetime.now(UTC).isoformat()).to_bytes())
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    answering = threading.Event()
    answering.set()
    with ExitStack() as stack:
        url = stack.enter_context(over_http(server, answering))
        redis_url = stack.enter_context(labelled(directory))
        settings = {"API_KEY": KEY, "RELEASE_RECORD": str(record), "MODEL_SERVER_URL": url, "LOG_STREAM": "false"}
        settings |= {"REDIS_URL": redis_url, "HISTORY_KEY": HISTORY_KEY}
        for address in addresses:
            environment = os.environ | settings | {"PORT": address.split(":")[1]}
            stack.enter_context(running([sys.executable, "-m", "gateway"], environment))
        for address in addresses:
            until(lambda address=address: answers(f"http://{address}/readyz"))  # type: ignore[misc]
        yield addresses


@contextmanager
def labelled(directory: Path) -> Iterator[str]:
    """The address of a Valkey in which labels have been counted."""
    with valkey.running(directory) as it, it.client() as client:
        client.hset(COUNTS.decode(), mapping={"1:flagged:fraud": 3, "1:flagged:genuine": 1, "1:passed:fraud": 2})
        yield it.url


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A process that is ended afterwards."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)


@contextmanager
def shown(*texts: str) -> Iterator[str]:
    """The address of a server that shows these texts, one after the other, and then the last one for ever."""
    turns = chain(texts, repeat(texts[-1]))

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1

        def do_GET(self) -> None:
            self.send_response(httpx.codes.OK)
            self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")  # TorchServe's own
            self.end_headers()
            self.wfile.write(next(turns).encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def here(addresses: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The configuration as it is shipped, but for where things are, and in seconds instead of quarters of a minute."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(MONITORING / "rules.yml")]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": list(addresses[job["job_name"]])}]
    return config


@contextmanager
def prometheus(directory: Path) -> Iterator[tuple[str, list[str]]]:
    """The addresses of a Prometheus that scrapes the whole system, and of its gateways."""
    own = f"127.0.0.1:{free_port()}"
    first, second = (file.read_text() for file in RECORDINGS)
    with ExitStack() as stack:
        scored_by = stack.enter_context(gateways(directory, 2))
        torchserve = stack.enter_context(shown(first, first, first, second))
        keeping = stack.enter_context(shown(keeper(directory)))
        config = directory / "prometheus.yml"
        parts = {"gateway": scored_by, "torchserve": [torchserve], "keeper": [keeping], "prometheus": [own]}
        config.write_text(yaml.safe_dump(here(parts)))
        storage = f"--storage.tsdb.path={directory / 'data'}"
        command = ["prometheus", f"--config.file={config}", storage, f"--web.listen-address={own}"]
        stack.enter_context(running(command))
        until(lambda: answers(f"http://{own}/-/ready"))
        yield f"http://{own}", [f"http://{address}" for address in scored_by]

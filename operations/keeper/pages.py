"""The keeper's pages: is it alive, is all loaded, metrics, and the release record.

    GET  /livez          200 while it polls
    GET  /readyz         200 when the live version is loaded on every model server
    GET  /metrics        Prometheus text
    GET  /release.json   the release record as it stands

Whoever reaches the port may ask, so everything is bounded: connections, the bytes of a request, and the time that it
and its answer may take. Each connection carries one request.
"""

import contextlib
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from operations.errors import OperationsError, describe_defect, in_words
from operations.keeper.status import KeeperStatus
from operations.processes.console_log import log
from operations.rollout.version_loader import Deduplicator
from releases.record import FILE_NAME

MOST_CONNECTIONS = 32
MOST_BYTES = 32_768
"""Of one request."""
READ_SECONDS = 10.0
WRITE_SECONDS = 30.0
"""Timeout of one request, and of a reader of an answer who takes nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page says."""

    status: HTTPStatus
    content: str
    body: bytes


class Pages:
    """What each page says."""

    def __init__(self, status: KeeperStatus, store: Path, jobs_metrics: Callable[[], bytes]) -> None:
        """Takes the keeper's status, the model store, and the metrics of the jobs."""
        self._status = status
        self._record = store / FILE_NAME
        self._jobs_metrics = jobs_metrics
        self._registry = _registry(status)

    def get(self, path: str) -> Answer:
        """The page at a path."""
        match path:
            case "/livez":
                return _health("alive\n", self._status.stall_reason(), "The keeper is stuck")
            case "/readyz":
                return _health("ready\n", self._status.unready_reason(), "Not every model server has the live version")
            case "/metrics":
                body = generate_latest(self._registry) + self._jobs_metrics()
                return Answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, body)
            case "/release.json":
                return self._release()
        return problem(HTTPStatus.NOT_FOUND, "There is no such page")

    def _release(self) -> Answer:
        try:
            return Answer(HTTPStatus.OK, "application/json", self._record.read_bytes())
        except FileNotFoundError:
            return problem(HTTPStatus.NOT_FOUND, "Nothing is released yet")
        except OSError as error:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The release record cannot be read", in_words(error))


def problem(status: HTTPStatus, title: str, detail: str = "") -> Answer:
    """An answer that is no success."""
    body = {"type": "about:blank", "title": title, "status": int(status)} | ({"detail": detail} if detail else {})
    return Answer(status, "application/problem+json", json.dumps(body).encode())


@contextlib.contextmanager
def served(host: str, port: int, pages: Pages) -> Iterator[str]:
    """Serves until the block ends, which no answer under way delays; gives the address.

    Raises:
        OperationsError: nobody can listen there.
    """
    try:
        server = _Server(host, port, pages)
    except (OSError, OverflowError) as error:
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        raise OperationsError(f"cannot listen on KEEPER_HOST={host}, KEEPER_PORT={port}: {reason}") from None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self._log_defect = Deduplicator(log.info)
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As HTTPServer does, but for the look-up of this machine's name, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """A thread for each connection; one too many is closed."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """What a connection's thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as socketserver has it
        """Says a defect, once, for probes come each second. A caller who goes away is none."""
        error = sys.exception()
        if error and not isinstance(error, OSError):
            self._log_defect(describe_defect(error))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "fraud-keeper"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Bounded(self.connection))

    def do_GET(self) -> None:
        self._answer(self.server.pages.get(self.path.partition("?")[0]))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What http.server itself refuses; its own words repeat what was sent."""
        self._answer(problem(HTTPStatus(code), HTTPStatus(code).phrase))

    def log_message(self, *_: object) -> None:
        """Says nothing: a probe each second would bury everything else."""

    def _answer(self, answer: Answer) -> None:
        self.connection.settimeout(WRITE_SECONDS)
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


class _Bounded(io.RawIOBase):
    """The bytes of one connection: at most MOST_BYTES, within READ_SECONDS altogether."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until = time.monotonic() + READ_SECONDS
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - as io has it
        remaining = self._until - time.monotonic()
        if remaining <= 0 or self._left <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        self._left -= count
        return count


def _health(text: str, why_not: str | None, title: str) -> Answer:
    if why_not:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, title, why_not)
    return Answer(HTTPStatus.OK, "text/plain; charset=utf-8", text.encode())


def _registry(status: KeeperStatus) -> CollectorRegistry:
    """Each gauge is read when it is asked for."""
    registry = CollectorRegistry()
    gauges: dict[str, tuple[str, Callable[[], float]]] = {
        "live_version": ("The live version; 0 before the first release.", lambda: _version(status, trial=False)),
        "trial_version": ("The version on trial; 0 without a trial.", lambda: _version(status, trial=True)),
        "servers": ("Model servers that there are.", lambda: status.servers),
        "servers_whole": ("Model servers on which the live version scores.", lambda: status.ready_servers),
        "last_look_timestamp_seconds": (
            "When the model server was looked at that was looked at longest ago, in seconds since 1970.",
            lambda: status.oldest_poll,
        ),
    }
    for name, (text, value) in gauges.items():
        Gauge(f"fraud_keeper_{name}", text, registry=registry).set_function(value)
    return registry


def _version(status: KeeperStatus, *, trial: bool) -> int:
    record = status.record
    if record is None or (trial and record.trial is None):
        return 0
    return record.trial.version if trial and record.trial else record.version

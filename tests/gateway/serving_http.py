"""Real HTTP servers for the gateway to talk to: one that serves the release record, and one that is TorchServe."""

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from releases.record import Release
from tests.tiny import TinyServer


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def record(version: int, previous: int | None = None) -> bytes:
    """A release record as it is served."""
    return Release(version, previous, "2026-01-01T00:00:00+00:00").to_bytes()


class RecordServer:
    """What `fraud keep` is to a gateway: it serves the record, until it dies.

    Attributes:
        body: what it answers with; `status` and `headers` likewise.
        answering: clear while it answers nobody.
        asked: requests by path.
    """

    def __init__(self) -> None:
        self.body = record(1)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answering = threading.Event()
        self.answering.set()
        self.asked = Counter[str]()
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """The record's address."""
        return f"http://127.0.0.1:{self.port}/release.json"

    def start(self) -> None:
        """Starts it, at the address that it has always had."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1

            def do_GET(self) -> None:
                outer.asked[self.path] += 1
                outer.answering.wait()
                self.send_response(outer.status)
                for name, value in {"content-length": str(len(outer.body)), **outer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = Quiet(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def die(self) -> None:
        """Ends it: connections to it are refused from now on."""
        self.answering.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class Quiet(ThreadingHTTPServer):
    """Says nothing of callers who left."""

    def handle_error(self, request: object, client_address: object) -> None:
        """As it says."""


@contextmanager
def over_http(model_server: TinyServer, answering: threading.Event) -> Iterator[str]:
    """The address of a model server that holds its answers while `answering` is clear."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = httpx.Request("POST", f"http://it{self.path}", content=body)
            answer = asyncio.run(model_server.handle_async_request(request))
            answering.wait()
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = Quiet(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        answering.set()
        server.shutdown()
        server.server_close()

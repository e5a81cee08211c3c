"""A fake TorchServe at real ports, for programs that are processes of their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from operations.torchserve.endpoints import TorchServeEndpoint
from tests.operations.fake_torchserve import FakeTorchServe


class _Ports(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeTorchServe

    def handle_error(self, request: object, client_address: object) -> None:
        """A keeper that is killed resets its connections."""


class _Request(BaseHTTPRequestHandler):
    server: _Ports
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            answer = self.server.fake.answer(httpx.Request(self.command, f"http://fake{self.path}", content=body))
        except httpx.HTTPError:  # It is down.
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815 - as http.server has it

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def served(fake: FakeTorchServe, host: str = "127.0.0.1", port: int = 0) -> Iterator[TorchServeEndpoint]:
    """Both of its ports in one, which tells requests apart by their paths."""
    with _Ports((host, port), _Request) as server:
        server.fake = fake
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        url = f"http://{host}:{server.server_port}"
        try:
            yield TorchServeEndpoint(url, url)
        finally:
            server.shutdown()
            thread.join()

"""Answers of other servers are read up to a bound, and never unpacked."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from environment.bounded_transport import BoundedTransport

MOST = 1_000


class FalseServer:
    """Answers with whatever it is told to.

    Attributes:
        read_bounded: the encodings that each request took.
    """

    def __init__(self) -> None:
        self.body = b""
        self.headers: dict[str, str] = {}
        self.read_bounded: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.read_bounded.append(self.headers["accept-encoding"])
                self.send_response(200)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def false_server() -> Iterator[FalseServer]:
    """One that listens."""
    server = FalseServer()
    yield server
    server.server.shutdown()
    server.server.server_close()


def read_bounded(server: FalseServer) -> bytes:
    """What a client gets of its answer."""
    with httpx.Client(transport=BoundedTransport(max_bytes=MOST), trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{server.server.server_port}").content


def test_an_answer_up_to_the_bound_is_read(false_server: FalseServer) -> None:
    """Whole, and asked for as it is."""
    false_server.body = b"x" * MOST
    assert read_bounded(false_server) == false_server.body
    assert false_server.read_bounded == ["identity"]


def test_a_larger_answer_is_not(false_server: FalseServer) -> None:
    """However much comes."""
    false_server.body = b"x" * (MOST + 1)
    with pytest.raises(httpx.ReadError):
        read_bounded(false_server)


def test_a_packed_answer_is_not_unpacked(false_server: FalseServer) -> None:
    """A thousandth of a gigabyte of zeros is small enough on the wire."""
    false_server.headers = {"content-encoding": "gzip"}
    false_server.body = gzip.compress(b"0" * MOST * 100)
    assert len(false_server.body) < MOST
    with pytest.raises(httpx.DecodingError):
        read_bounded(false_server)

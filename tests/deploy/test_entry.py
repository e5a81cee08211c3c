"""What the entry itself keeps from the gateways; tests/gateway/test_corpus.py asks a gateway through it."""

import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway.serving_http import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy/entry/haproxy.cfg"
WAIT_SECONDS = 30.0
LIMIT = 3
"""Connections of one address."""
HEAD = b"POST /upload HTTP/1.1\r\nHost: g\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\n"

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="HAProxy is not installed")


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[int, socket.socket]]:
    """The port of an entry that gives a request a second, and its gateway, a socket."""
    gateway = socket.create_server(("127.0.0.1", 0))
    port = free_port()
    text = CONFIGURATION.read_text().replace("bind :8000", f"bind 127.0.0.1:{port}")
    text = re.sub("server-template gateway .*", f"server gateway 127.0.0.1:{gateway.getsockname()[1]}", text)
    text = text.replace(" resolvers docker init-addr none resolve-prefer ipv4", "").replace("option httpchk", "#")
    text = text.replace("http-check", "#").replace("check inter 500ms fall 2 rise 1", "")
    text = text.replace("wait-for-body time 10s", "wait-for-body time 1s")
    (tmp_path / "haproxy.cfg").write_text(text)
    environment = os.environ | {"CONNECTIONS_PER_ADDRESS": str(LIMIT)}
    process = subprocess.Popen(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"], env=environment)
    try:
        with gateway:
            until(lambda: not is_closed(port))
            yield port, gateway
    finally:
        process.kill()
        process.wait()


def is_closed(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_body_that_drips_reaches_no_gateway(ports: tuple[int, socket.socket]) -> None:
    """The entry answers 408 itself; no gateway was connected to."""
    port, gateway = ports
    gateway.settimeout(0)
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS) as caller:
        caller.sendall(HEAD + b"x")
        assert caller.recv(1000).startswith(b"HTTP/1.1 408 ")
    with pytest.raises(BlockingIOError):
        gateway.accept()


def test_an_address_has_its_share_of_the_connections(ports: tuple[int, socket.socket]) -> None:
    """Past it callers are answered 429, those of another address are served, and the first again once it holds none."""
    port, gateway = ports
    threading.Thread(target=serve, args=(gateway,), daemon=True).start()
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        with socket.create_connection(("127.0.0.1", port)):
            until(lambda: answer(port).startswith(b"HTTP/1.1 429 "))
            output = answer(port)
            assert b"\r\nretry-after: 2\r\n" in output
            assert b"\r\ncontent-type: application/problem+json\r\n" in output
            assert answer(port, "127.0.0.2").startswith(b"HTTP/1.1 204 ")
        until(lambda: answer(port).startswith(b"HTTP/1.1 204 "))


def test_what_floods_is_closed_unread(ports: tuple[int, socket.socket]) -> None:
    """Past twice its share a connection of an address ends before it has sent anything."""
    port, _ = ports
    callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * LIMIT + 2)]
    try:
        (closed, *_), _, _ = select.select(callers, [], [], WAIT_SECONDS)
        assert received(closed) == b""
    finally:
        for caller in callers:
            caller.close()


def serve(gateway: socket.socket) -> None:
    """Answers each request 204 until the socket is closed."""
    while True:
        try:
            caller, _ = gateway.accept()
        except OSError:
            return
        with caller:
            caller.recv(1000)
            caller.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def answer(port: int, source: str = "127.0.0.1") -> bytes:
    """All that a request from this address is answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_SECONDS, source_address=(source, 0)) as caller:
        caller.sendall(b"GET / HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: received(caller), b""))


def received(caller: socket.socket) -> bytes:
    """What has come; nothing when the connection has ended, however."""
    try:
        return caller.recv(1000)
    except ConnectionResetError:
        return b""


def until(condition: Callable[[], bool]) -> None:
    """Waits for it."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

"""What the entry itself keeps from the gateways; tests/gateway/test_corpus.py asks a gateway through it."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.gateway.serving_http import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy/entry/haproxy.cfg"
PATIENCE = 30.0
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
    process = subprocess.Popen(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"])
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
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as caller:
        caller.sendall(HEAD + b"x")
        assert caller.recv(1000).startswith(b"HTTP/1.1 408 ")
    with pytest.raises(BlockingIOError):
        gateway.accept()


def until(condition: Callable[[], bool]) -> None:
    """Waits for it."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)

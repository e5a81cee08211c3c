import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from operations.errors import OperationsError
from operations.jobs import remote

REMOTE = Path(__file__).parents[2] / "deploy" / "render" / "remote.py"
KEY = "aB+/c="


class Keeper(ThreadingHTTPServer):
    """A keeper that answers every job with the bytes that it is given."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = b""
        self.asked: list[tuple[str, str | None]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What finds it, and may ask it."""
        return {"KEEPER_URL": f"http://127.0.0.1:{self.server_port}", "JOBS_KEY": KEY}


class _Handler(BaseHTTPRequestHandler):
    server: Keeper

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["X-Jobs-Key"]))
        self.wfile.write(self.server.answer)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


def said(status: int, body: bytes) -> bytes:
    """An answer that ends when the connection does."""
    return f"HTTP/1.1 {status} Answer\r\nContent-Type: text/plain\r\n\r\n".encode() + body


def chunks(*parts: bytes, ended: bool = True) -> bytes:
    """An answer in chunks; without its end, the connection was lost."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if ended else b"")
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A keeper on a free port."""
    with Keeper() as keeper:
        thread = threading.Thread(target=keeper.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield keeper
        keeper.shutdown()
        thread.join()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The small command, as a cron runs it."""
    return subprocess.run(
        [sys.executable, str(REMOTE), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def operations_says(environment: dict[str, str]) -> tuple[str, int]:
    """What `fraud remote check` of the operations image prints, and its exit code."""
    lines = list[str]()
    try:
        code = remote.call("check", environment, lines.append)
    except OperationsError:
        code = 1
    return "".join(f"{line}\n" for line in lines if not line.startswith("error:")), code


@pytest.mark.parametrize(
    ("answer", "output", "code"),
    [
        (said(200, b"all is well\nexit 0\n"), "all is well\n", 0),
        (said(200, b"no room\nexit 1\n"), "no room\n", 1),
        (said(200, b"killed\nexit 137\n"), "killed\n", 137),
        (said(200, b"exit 3\nsaid by the job itself\nexit 0\n"), "exit 3\nsaid by the job itself\n", 0),
        (said(200, b"\n\nslow\n\nexit 0\n"), "slow\n", 0),
        (chunks(b"one\ntw", b"o\n", b"exit 0\n"), "one\ntwo\n", 0),
        (said(200, b"half\n"), "half\n", 1),
        (said(200, b"half\nexit 0"), "half\n", 1),
        (said(200, b""), "", 1),
        (said(409, b""), "", 75),
        (said(401, b""), "", 1),
        (said(404, b""), "", 1),
        (said(500, b""), "", 1),
    ],
)
def test_it_says_and_ends_as_fraud_remote_does(keeper: Keeper, answer: bytes, output: str, code: int) -> None:
    """Output and exit code are the job's, and the same as those of `fraud remote` in the operations image."""
    keeper.answer = answer
    ended = run("remote", "check", **keeper.environment)
    assert (ended.stdout, ended.returncode) == (output, code)
    assert operations_says(keeper.environment) == (output, code)
    assert keeper.asked == [("/jobs/check", KEY)] * 2


def test_a_lost_connection_is_no_success(keeper: Keeper) -> None:
    """An answer that broke off is a failure, whatever line it broke off after."""
    keeper.answer = chunks(b"one\n", ended=False)
    assert run("remote", "check", **keeper.environment).returncode == 1


def test_the_host_alone_is_enough() -> None:
    """Of MODELS_HOST it makes the keeper's address; nobody has that name, and it fails in one line without the key."""
    ended = run("remote", "check", MODELS_HOST="models.invalid", JOBS_KEY=KEY)
    assert ended.returncode == 1
    assert ended.stderr == "error: fraud remote check failed (URLError)\n"


@pytest.mark.parametrize("arguments", [(), ("remote",), ("backup",), ("remote", "../x"), ("remote", "a", "b")])
def test_other_words_ask_nobody(keeper: Keeper, arguments: tuple[str, ...]) -> None:
    """It knows one command, and a job's name is a word."""
    assert run(*arguments, **keeper.environment).returncode == 1
    assert keeper.asked == []


@pytest.mark.parametrize("missing", ["KEEPER_URL", "JOBS_KEY"])
def test_what_is_not_set_is_an_error(keeper: Keeper, missing: str) -> None:
    """Without an address or a key it fails in one line."""
    environment = {name: value for name, value in keeper.environment.items() if name != missing}
    ended = run("remote", "check", **environment)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)

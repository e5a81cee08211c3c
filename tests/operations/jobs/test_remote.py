"""Asking the keeper over real connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from operations.jobs import crontab, outcome, remote
from operations.jobs.remote import RemoteFailed, call
from tests.operations.jobs.receiver import Receiver

KEY = "s3cret-key"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


class Keeper:
    """Answers one request with given bytes, and then closes the connection."""

    def __init__(self, answer: bytes) -> None:
        self.request = b""
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:  # Nobody came.
            return
        with connection:
            while b"\r\n\r\n" not in self.request:
                self.request += connection.recv(65536)
            connection.sendall(self._answer)

    def close(self) -> None:
        """Ends it, also where nobody came."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@contextmanager
def keeper(answer: bytes) -> Iterator[Keeper]:
    """One that runs while the block does."""
    found = Keeper(answer)
    try:
        yield found
    finally:
        found.close()


def asked(answer: bytes, job: str = "backup") -> tuple[int, list[str], bytes]:
    """The exit code, what was said, and the request."""
    said = list[str]()
    with keeper(answer) as found:
        code = call(job, {"KEEPER_URL": f"{found.url}/", "JOBS_KEY": KEY}, said.append)
    return code, said, found.request


def chunks(*texts: str) -> bytes:
    """A whole chunked answer."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()) for text in texts)
    return CHUNKED + body + b"0\r\n\r\n"


@pytest.mark.parametrize("code", [0, 1, 3, 143])
def test_it_ends_as_the_job_ends(code: int) -> None:
    """Lines are passed on as they come, heartbeats and the last line are not."""
    answer = chunks("Wrote it: one\n", "\n", "two\n\nth", "ree\n", f"exit {code}\n")
    assert asked(answer)[:2] == (code, ["Wrote it: one", "two", "three"])


def test_it_posts_with_the_key() -> None:
    """POST /jobs/NAME without a body, with the key in a header."""
    request = asked(chunks("exit 0\n"))[2].lower()
    assert request.startswith(b"post /jobs/backup http/1.1\r\n")
    assert b"x-jobs-key: s3cret-key\r\n" in request


def test_an_answer_may_end_with_the_connection() -> None:
    """A server that does not chunk closes the connection after the last line."""
    assert asked(CLOSED + b"one\nexit 2\n")[:2] == (2, ["one"])


def test_what_a_job_says_is_not_its_end() -> None:
    """A line like the last one that others follow is output."""
    assert asked(chunks("exit 0\n", "exit 7\n", "\n", "more\nexit 3\n", "\n"))[:2] == (3, ["exit 0", "exit 7", "more"])


def test_a_large_number_is_a_failure() -> None:
    """What no process can end with does not wrap around to success."""
    assert asked(chunks("exit 512\n"))[0] == 255


@pytest.mark.parametrize(
    "answer",
    [
        CLOSED,
        CLOSED + b"one\n",
        CLOSED + b"exit 1",  # The rest of 137 may be missing.
        CLOSED + b"exit 0\nmore\n",
        CHUNKED + b"4\r\none\n\r\n",
        CHUNKED + b"7\r\nexit 0\n\r\n",
        CHUNKED + b"7\r\nexi",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nexit 0\n",
    ],
)
def test_a_lost_connection_is_a_failure(answer: bytes) -> None:
    """Without a whole last line it is not known what became of the job."""
    with pytest.raises(RemoteFailed, match="the connection to the keeper was lost"):
        asked(answer)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "refuses the key"),
        (403, "refuses the key"),
        (404, "no such job"),
        (500, "status 500"),
        (302, "status 302"),
        (204, "status 204"),
    ],
)
def test_a_refusal_is_one_line(status: int, reason: str) -> None:
    """It says what to do; a redirection is not followed, for the key would go with it."""
    with pytest.raises(RemoteFailed, match=reason) as refused:
        asked(b"HTTP/1.1 %d X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status)
    assert KEY not in str(refused.value)


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy would be shown the key."""
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert asked(chunks("exit 0\n"))[0] == 0


def test_names_are_those_of_the_schedule() -> None:
    """What it says itself, since it imports nothing else, is what the schedule says."""
    assert (remote.JOB, remote.BUSY) == (crontab.NAME, outcome.BUSY)


def test_a_job_that_runs_already_is_no_failure_of_it() -> None:
    """409 is exit code 75, as for a command that meets itself."""
    code, said, _ = asked(b"HTTP/1.1 409 X\r\nContent-Length: 0\r\n\r\n")
    assert (code, said) == (75, ["error: fraud backup runs already"])


@pytest.mark.parametrize(
    ("job", "settings", "reason"),
    [
        ("backup", {}, "JOBS_KEY is not set"),
        ("backup", {"JOBS_KEY": ""}, "JOBS_KEY is not set"),
        ("../release.json", {"JOBS_KEY": KEY}, "a job's name"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "keeper:8070"}, "KEEPER_URL is no http"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "ftp://s3cret"}, "KEEPER_URL is no http"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "http://[s3cret"}, "KEEPER_URL"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "http://keeper/s3cr et"}, "KEEPER_URL is no http"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "http://s3cret..:1"}, "cannot be reached"),
        ("backup", {"JOBS_KEY": "s3cret\nkey", "KEEPER_URL": "http://127.0.0.1:1"}, "JOBS_KEY holds"),
        ("backup", {"JOBS_KEY": "s3crét", "KEEPER_URL": "http://127.0.0.1:1"}, "JOBS_KEY holds"),
        ("backup", {"JOBS_KEY": KEY, "KEEPER_URL": "http://127.0.0.1:1"}, "cannot be reached"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(job: str, settings: dict[str, str], reason: str) -> None:
    """What is missing or wrong is named; no secret, and no address, is shown."""
    with pytest.raises(RemoteFailed, match=reason) as refused:
        call(job, settings, lambda _: None)
    assert "s3cr" not in str(refused.value)


def test_a_keeper_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a heartbeat for too long the connection counts as lost."""
    monkeypatch.setattr(remote, "PATIENCE", 0.1)
    silent = socket.create_server(("127.0.0.1", 0))
    settings = {"KEEPER_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "JOBS_KEY": KEY}
    with silent, pytest.raises(RemoteFailed, match="it said nothing"):
        call("backup", settings, lambda _: None)


def test_a_keeper_that_cannot_be_reached_is_an_alert(receiver: Receiver) -> None:
    """Nobody else would tell: the keeper posts only what its own jobs do."""
    settings = {"KEEPER_URL": "http://127.0.0.1:1", "JOBS_KEY": KEY, "ALERT_URL": receiver.url}
    with pytest.raises(RemoteFailed):
        call("backup", settings, lambda _: None)
    (posted,) = receiver.posted
    assert posted["text"].startswith("fraud remote backup failed: fraud backup was not started")

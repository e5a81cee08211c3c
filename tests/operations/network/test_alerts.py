"""Alerts, posted to a real server on this machine."""

import json
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from operations.local.programs import free_ports
from operations.network.alerts import Alerts
from tests.timeouts import WAIT_SECONDS

SECRET = "s3cret-path"


@dataclass
class Receiver:
    """A chat server that takes messages."""

    url: str
    status: int = 200
    posted: "queue.Queue[Any]" = field(default_factory=queue.Queue)
    may_answer: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.posted.put((self.path, self.headers["content-type"], json.loads(body)))
            found.may_answer.wait(WAIT_SECONDS)
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_address[1]}/{SECRET}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def message() -> "queue.Queue[str]":
    """What the stack has said."""
    return queue.Queue()


def test_an_alert_is_said_and_posted(receiver: Receiver, message: "queue.Queue[str]") -> None:
    """The receiver gets one JSON object with the text, and the output the same text."""
    receiver.may_answer.set()
    Alerts(receiver.url, message.put)("version 2 took over")
    expected = (f"/{SECRET}", "application/json", {"text": "version 2 took over"})
    assert receiver.posted.get(timeout=WAIT_SECONDS) == expected
    assert message.get_nowait() == "version 2 took over"


def test_nobody_waits_for_the_receiver(receiver: Receiver, message: "queue.Queue[str]") -> None:
    """An alert returns while the receiver still thinks: a repair is never late for it."""
    alerts = Alerts(receiver.url, message.put)
    alerts("one")
    receiver.posted.get(timeout=WAIT_SECONDS)
    alerts("two")
    assert (message.get_nowait(), message.get_nowait()) == ("one", "two")
    assert not receiver.may_answer.is_set()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_refusal_is_one_line_without_the_address(
    receiver: Receiver, message: "queue.Queue[str]", status: int
) -> None:
    """What the receiver answers is told by its status; the address is a secret."""
    receiver.status = status
    receiver.may_answer.set()
    Alerts(receiver.url, message.put)("one")
    assert [message.get(timeout=WAIT_SECONDS) for _ in range(2)] == [
        "one", f"ALERT_URL did not take the alert (status {status})"
    ]  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", ".a", "[secret", "a" * 70])
def test_a_receiver_that_cannot_be_reached_is_one_line_without_the_address(
    message: "queue.Queue[str]", host: str
) -> None:
    """A failure to connect is told by its class, also where the host is no name."""
    Alerts(f"http://{host}:{free_ports(1)[0]}/{SECRET}", message.put)("one")
    assert message.get(timeout=WAIT_SECONDS) == "one"
    output = message.get(timeout=WAIT_SECONDS)
    assert output.startswith("ALERT_URL did not take the alert (")
    assert SECRET not in output
    assert host not in output


def test_without_an_address_an_alert_is_a_line(message: "queue.Queue[str]") -> None:
    """Without ALERT_URL the output alone has it."""
    Alerts(None, message.put)("one")
    assert (message.get_nowait(), message.empty()) == ("one", True)


def test_a_command_waits_for_its_alerts_at_its_end(receiver: Receiver, message: "queue.Queue[str]") -> None:
    """After the wait the receiver has answered: the process may end."""
    alerts = Alerts(receiver.url, message.put)
    alerts("one")
    alerts("two")
    receiver.posted.get(timeout=WAIT_SECONDS)
    threading.Timer(0.1, receiver.may_answer.set).start()
    alerts.wait(WAIT_SECONDS)
    assert (receiver.posted.qsize(), receiver.may_answer.is_set()) == (1, True)


def test_the_wait_is_bounded(receiver: Receiver, message: "queue.Queue[str]") -> None:
    """A receiver that never answers keeps a command for so long only, and that is said."""
    alerts = Alerts(receiver.url, message.put)
    alerts("one")
    alerts.wait(0.05)
    assert [message.get(timeout=WAIT_SECONDS) for _ in range(2)] == ["one", "ALERT_URL has not answered in 0 s"]


def test_without_an_alert_there_is_no_wait(message: "queue.Queue[str]") -> None:
    """Nothing was posted, and nothing is said."""
    Alerts(None, message.put).wait()
    assert message.empty()

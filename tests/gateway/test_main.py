"""How the gateway starts and ends, as a process."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.gateway.process import COMMAND, Gateway
from tests.tiny import TinyServer

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, model_server: TinyServer) -> Iterator[Start]:
    """Starts a gateway in an environment; ready when it returns."""
    with ExitStack() as stack:

        def started(**outer_env: str) -> Gateway:
            gateway = Gateway(tmp_path, model_server, **outer_env)
            stack.callback(gateway.close)
            gateway.until_it_is("ready")
            return gateway

        yield started


def refused(**outer_env: str) -> list[str]:
    """What a gateway says that does not start for its settings; the reasons alone, without values."""
    environment = {"PATH": os.environ["PATH"], **outer_env}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_CONFIG
    assert not {word for word in ("hunter2", "7.25", "hello") if word in done.stdout + done.stderr}
    prefix = "the gateway cannot start: "
    assert all(line.startswith(prefix) for line in done.stderr.splitlines())
    return [line.removeprefix(prefix) for line in done.stderr.splitlines()]


def test_a_wrong_setting_is_one_line_without_its_value() -> None:
    """Each wrong setting is named in a line of its own; neither its value nor the key is repeated."""
    message = refused(
        API_KEY="hunter2", REVIEW_THRESHOLD="7.25", REDIS_URL="hello", RELEASE_RECORD="ftp://hello/hunter2"
    )
    assert [line.split(":")[0] for line in message] == ["RELEASE_RECORD", "REDIS_URL", "REVIEW_THRESHOLD"]


def test_limits_that_processes_cannot_share_are_one_line() -> None:
    """It is told before any process is started, and not by each."""
    (line,) = refused(API_KEY="hunter2", GATEWAY_PROCESSES="3", UPLOAD_SLOTS="2")
    assert line == "settings: Value error, GATEWAY_PROCESSES is over 2, for which UPLOAD_SLOTS suffice"


def test_a_secret_that_cannot_be_read_is_one_line_without_its_value() -> None:
    """The variable is named, and the reason."""
    assert refused(API_KEY_FILE="/absent/hunter2") == ["API_KEY_FILE: the file that it names is not there"]


def test_an_empty_key_file_is_named_as_what_was_set() -> None:
    """Who gave a file is told of the file, not of a variable that he never heard of."""
    assert refused(API_KEY_FILE=os.devnull) == ["API_KEY_FILE: the file that it names is empty"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_was_taken_is_answered(start: Start, number: signal.Signals) -> None:
    """Told to end, a gateway takes no more, answers what it took, and ends with 0."""
    gateway = start()
    gateway.answering.clear()
    asked = gateway.model_server.asked.total()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.score)
        gateway.until(lambda: gateway.model_server.asked.total() > asked)
        gateway.process.send_signal(number)
        gateway.until_it_is("closed")
        assert not answer.done()
        gateway.answering.set()
        assert answer.result().json()["model_version"] == 1
    assert gateway.exit_status() == 0


def test_a_gateway_that_ends_says_so_first(start: Start) -> None:
    """During the delay readiness is gone, and requests are still answered, each over its last connection."""
    gateway = start(DRAIN_DELAY_SECONDS="300")
    gateway.process.terminate()
    gateway.until_it_is("draining")
    gateway.until(lambda: gateway.score().headers.get("connection") == "close")
    assert (gateway.score().status_code, httpx.get(f"{gateway.url}/livez").status_code) == (200, 200)
    assert httpx.get(f"{gateway.url}/health").json()["status"] == "healthy"
    gateway.process.terminate()  # Said twice: without further delay.
    assert gateway.exit_status() == 0


def test_the_delay_ends_by_itself(start: Start) -> None:
    """Nobody needs to say it twice."""
    gateway = start(DRAIN_DELAY_SECONDS="0.5")
    started = time.monotonic()
    gateway.process.terminate()
    assert gateway.exit_status() == 0
    assert time.monotonic() - started >= 0.5


def test_a_port_that_is_taken_is_a_failure(start: Start) -> None:
    """A gateway that cannot listen does not end as one that was told to."""
    port = str(httpx.URL(start().url).port)
    second = subprocess.run(COMMAND, env={"PATH": os.environ["PATH"], "API_KEY": "k", "PORT": port}, check=False)
    assert second.returncode not in (0, os.EX_CONFIG)

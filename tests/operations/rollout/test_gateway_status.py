"""Whether the gateways follow the release record."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from operations.rollout.gateway_status import (
    GatewayStatus,
    gateway_statuses,
    gateways_behind,
    gateways_not_running,
)
from releases.record import Trial, TrialKind

TRIAL = Trial(TrialKind.CANARY, 3, 0.5, "2026-01-01T00:00:00+00:00")


class Gateway(HTTPServer):
    """A gateway that follows at the third asking."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, late: int = 2) -> None:
        super().__init__((host, port), _Health)
        self.asked = 0
        self.late = late

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"


class _Health(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self.server.asked += 1
        late = self.server.asked > self.server.late
        trial = {"version": 3, "kind": "canary", "share": 0.5, "status": "running" if late else "paused"}
        trial["reason"] = None if late else "not_adopted"
        body = json.dumps({"components": {"model": {"version": 2 if late else 1}, "trial": trial}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(gateway: Gateway) -> Iterator[Gateway]:
    """Runs it on a thread."""
    with gateway:
        thread = threading.Thread(target=gateway.serve_forever)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """One gateway."""
    with serving(Gateway()) as it:
        yield it


@pytest.fixture
def pair() -> Iterator[tuple[Gateway, Gateway]]:
    """Two, at different addresses of this machine and the same port, of which the second follows later."""
    with ExitStack() as running:
        first = running.enter_context(serving(Gateway("127.0.0.1")))
        yield first, running.enter_context(serving(Gateway("127.0.0.2", first.server_port, late=5)))


def both(*more: str) -> Callable[[str, int], list[str]]:
    """What the name of both stands for."""
    return lambda *_: ["127.0.0.1", "127.0.0.2", *more]


def test_waits_until_the_version_is_served(gateway: Gateway) -> None:
    """It returns as soon as the gateway says that it serves the version."""
    assert gateways_behind(gateway.url, 2) == []
    assert gateway.asked == 3


def test_gives_up(gateway: Gateway) -> None:
    """A gateway that stays with another version, or does not answer, is named in time."""
    assert gateways_behind(f"{gateway.url}/", 9, timeout=0.2) == [gateway.url]
    assert gateways_behind("http://127.0.0.1:1", 1, timeout=0.2) == ["http://127.0.0.1:1"]


def test_a_name_for_nothing_is_a_gateway_that_does_not_follow() -> None:
    """The release is done by then: a mistake in GATEWAY_URL is no failure of it."""
    assert gateways_behind("http://nowhere.invalid:8000", 1, timeout=0.1) == ["http://nowhere.invalid:8000"]


def test_waits_until_the_trial_runs(gateway: Gateway) -> None:
    """A trial that is paused still is not under way."""
    assert gateways_not_running(gateway.url, TRIAL) == []
    assert gateway.asked == 3
    assert gateways_not_running(gateway.url, replace(TRIAL, version=4), timeout=0.2) == [gateway.url]


@pytest.mark.parametrize("change", [{"share": 0.05}, {"kind": TrialKind.SHADOW}])
def test_a_trial_by_another_share_or_kind_is_not_this_one(gateway: Gateway, change: dict[str, Any]) -> None:
    """After a change of the share it waits until the gateway has that too."""
    assert gateways_not_running(gateway.url, replace(TRIAL, **change), timeout=0.5) == [gateway.url]


def test_waits_until_all_follow(pair: tuple[Gateway, Gateway]) -> None:
    """Each address is asked until it follows, and no longer."""
    first, second = pair
    assert gateways_behind(f"http://gateway:{first.server_port}", 2, resolve=both()) == []
    assert (first.asked, second.asked) == (3, 6)


def test_names_those_that_do_not_follow(pair: tuple[Gateway, Gateway]) -> None:
    """A gateway that does not answer is named, the others are not."""
    url = f"http://gateway:{pair[0].server_port}"
    assert gateways_behind(url, 2, timeout=1.0, resolve=both("127.0.0.3")) == [
        f"http://127.0.0.3:{pair[0].server_port}"
    ]


def test_says_how_each_stands(pair: tuple[Gateway, Gateway]) -> None:
    """What each serves, why its trial is paused, and nothing of one that does not answer."""
    first, second = pair
    first.late = 0
    found = gateway_statuses(f"http://gateway:{first.server_port}", both("127.0.0.3"))
    assert list(found.values()) == [GatewayStatus(2, None), GatewayStatus(1, "not_adopted"), GatewayStatus()]
    assert list(found)[1] == second.url

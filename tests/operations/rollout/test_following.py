"""Whether the gateway follows the release record."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from contract.release import Trial, TrialKind
from operations.rollout.following import followed, tried

TRIAL = Trial(TrialKind.CANARY, 3, 0.5, "2026-01-01T00:00:00+00:00")


class _Health(BaseHTTPRequestHandler):
    """A gateway that follows at the third asking."""

    asked = 0

    def do_GET(self) -> None:
        _Health.asked += 1
        late = _Health.asked > 2
        trial = {"version": 3, "kind": "canary", "share": 0.5, "status": "running" if late else "paused"}
        body = json.dumps({"components": {"model": {"version": 2 if late else 1}, "trial": trial}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    """Its address."""
    _Health.asked = 0
    with HTTPServer(("127.0.0.1", 0), _Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_waits_until_the_version_is_served(gateway: str) -> None:
    """It returns as soon as the gateway says that it serves the version."""
    assert followed(gateway, 2)
    assert _Health.asked == 3


def test_gives_up(gateway: str) -> None:
    """A gateway that stays with another version, or does not answer, is told apart in time."""
    assert not followed(gateway, 9, patience=0.2)
    assert not followed("http://127.0.0.1:1", 1, patience=0.2)


def test_waits_until_the_trial_runs(gateway: str) -> None:
    """A trial that is paused still is not under way."""
    assert tried(gateway, TRIAL)
    assert _Health.asked == 3
    assert not tried(gateway, replace(TRIAL, version=4), patience=0.2)


@pytest.mark.parametrize("change", [{"share": 0.05}, {"kind": TrialKind.SHADOW}])
def test_a_trial_by_another_share_or_kind_is_not_this_one(gateway: str, change: dict[str, Any]) -> None:
    """After a change of the share it waits until the gateway has that too."""
    assert not tried(gateway, replace(TRIAL, **change), patience=0.5)

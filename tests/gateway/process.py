"""A gateway as a process of its own, as production runs it, over a model server that can hold its answers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx

from releases.record import Release
from tests.gateway.serving_http import free_port, over_http
from tests.timeouts import WAIT_SECONDS
from tests.tiny import TinyServer

COMMAND = [sys.executable, "-m", "gateway"]
KEY = "k-1"
ROW = {"transaction_id": "t", "timestamp": "2026-01-01T10:00:00", "amount": 10, "age": 30, "channel": "chip"}


class Gateway:
    """A gateway as a process of its own, over a model server that can be told to hold its answers.

    Version 1 is live, since just now: nobody has been answered before.
    """

    def __init__(self, directory: Path, model_server: TinyServer, **env: str) -> None:
        self.model_server = model_server
        self.answering = threading.Event()
        self.answering.set()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (directory / "key").write_text(f"{KEY}\n")
        (directory / "release.json").write_bytes(Release(1, None, datetime.now(UTC).isoformat()).to_bytes())
        self._stack = ExitStack()
        files = {"API_KEY_FILE": f"{directory}/key", "RELEASE_RECORD": f"{directory}/release.json"}
        servers = {
            "PORT": str(port),
            **{"GATEWAY_PROCESSES": "1", "LARGE_BODY_PROCESSES": "0"},  # On any machine; a test about several says so.
            "MODEL_SERVER_URL": self._stack.enter_context(over_http(model_server, self.answering)),
        }
        log = self._stack.enter_context((directory / "gateway.log").open("wb"))
        environment = {"PATH": os.environ["PATH"], **files, **servers, **env}
        self.process = subprocess.Popen(COMMAND, env=environment, stdout=log, stderr=log)
        self._stack.callback(self.process.wait)
        self._stack.callback(self.process.kill)
        self.close = self._stack.close

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < end, self.readiness()
            time.sleep(0.01)

    def until_it_is(self, readiness: str) -> None:
        """Waits until /readyz says so."""
        self.until(lambda: self.readiness() == readiness)

    def readiness(self) -> str:
        """Says "ready", or the last part of the problem's type; "closed" where nobody listens."""
        try:
            answer = httpx.get(f"{self.url}/readyz", trust_env=False, timeout=WAIT_SECONDS)
        except httpx.TransportError:
            return "closed"
        return "ready" if answer.is_success else str(answer.json()["type"]).rpartition(":")[2]

    def score(self) -> httpx.Response:
        """Scores one transaction."""
        headers = {"X-API-Key": KEY}
        return httpx.post(f"{self.url}/v1/score", json=ROW, headers=headers, trust_env=False, timeout=WAIT_SECONDS)

    def exit_status(self) -> int:
        """The exit status, once it has ended."""
        return self.process.wait(15)

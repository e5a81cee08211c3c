"""One stack for all: built, started on an empty machine, and taken down again whatever happens.

What was measured is written to build/docker-test.json, from which docs/docker.md is kept.
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.compose import ROOT, Compose, docker, wait_for

if "DOCKER_TEST" not in os.environ:  # `make test` runs where no Docker is.
    collect_ignore_glob = ["test_*.py"]
FIRST_START_SECONDS = 600
"""The first start trains the default model."""


class Measured:
    """Figures of this run, by name."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}

    def __setitem__(self, name: str, figure: object) -> None:
        self.figures[name] = figure
        print(f"\n{name}: {figure}")


@pytest.fixture(scope="session")
def measured() -> Iterator[Measured]:
    """Takes figures, and writes them at the end."""
    found = Measured()
    yield found
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "docker-test.json").write_text(json.dumps(found.figures, indent=1) + "\n")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> Iterator[Compose]:
    """The stack, healthy; at the end nothing of it is left."""
    key = secrets.token_urlsafe(16)
    found = Compose(f"fraud-test-{secrets.token_hex(3)}", _settings(tmp_path_factory.mktemp("compose"), key), key)
    try:
        began = time.monotonic()
        found.run("build", timeout=3000)
        measured["seconds to build all images"] = round(time.monotonic() - began)
        began = time.monotonic()
        found.run("up", "-d")
        wait_for(found.is_healthy, FIRST_START_SECONDS, lambda: found.run("ps").output + _logs(found))
        measured["seconds from `up` to healthy, training included"] = round(time.monotonic() - began)
        found.first_answer = found.upload()
        yield found
    finally:
        found.client.close()
        found.run("--profile", "monitoring", "down", "-v", "--remove-orphans", check=False)
    assert _left(found.project) == []


def _settings(directory: Path, key: str) -> dict[str, str]:
    file = directory / "api_key"
    file.write_text(key + "\n")
    file.chmod(0o644)
    return {
        "PORT": str(_free_port()),
        "PROMETHEUS_PORT": str(_free_port()),
        "GRAFANA_PORT": str(_free_port()),
        "API_KEY_FILE": str(file),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _logs(stack: Compose) -> str:
    return stack.run("logs", "--tail", "30", "keeper", "torchserve", "schedule").output[-6000:]


def _left(project: str) -> list[str]:
    """What is still there of a project: containers, networks, volumes."""
    label = f"label=com.docker.compose.project={project}"
    kinds = (("ps", "-a"), ("network", "ls"), ("volume", "ls"))
    return [name for kind in kinds for name in docker(*kind, "-q", "-f", label).split()]

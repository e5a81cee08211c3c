"""A compose stack of its own name, port, key and volumes, driven as a person drives it: by `docker compose`."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


def command() -> list[str]:
    """`docker compose` where it is there, else docker-compose 1.29."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise AssertionError("make docker-test needs `docker compose` or docker-compose")


def docker(*arguments: str, check: bool = True, timeout: float = 120) -> str:
    """What a docker command says."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    output: str
    status: int


class Compose:
    """One stack.

    Attributes:
        project: its name, which all it makes carries as a label.
        url: where it is published.
        key: the key that it accepts.
        first_answer: to the guide's request, once the stack was healthy.
    """

    first_answer: httpx.Response

    def __init__(self, project: str, settings: Mapping[str, str], key: str) -> None:
        self.project = project
        self.url = f"http://127.0.0.1:{settings['PORT']}"
        self.key = key
        self.client = httpx.Client(base_url=self.url, headers={"X-API-Key": key}, timeout=30, trust_env=False)
        self._command = [*command(), "-p", project, "-f", str(ROOT / "docker-compose.yml")]
        self._environment = {**os.environ, **settings}

    def run(
        self, *arguments: str, timeout: float = 900, check: bool = True, settings: Mapping[str, str] | None = None
    ) -> Done:
        """One compose command; with settings beside those of the stack, where some are given."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=ROOT,
            env={**self._environment, **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"compose {' '.join(arguments)}:\n{done.stdout[-3000:]}"
        return Done(done.stdout, done.returncode)

    def fraud(self, *arguments: str, check: bool = True, timeout: float = 300) -> Done:
        """The release job: a `fraud` command in a container of its own."""
        return self.run("run", "--rm", "fraud", *arguments, check=check, timeout=timeout)

    def containers(self, service: str) -> list[str]:
        """The running containers of a service."""
        return self.listed(service, running=True)

    def listed(self, service: str | None = None, *, running: bool = False) -> list[str]:
        """Containers of the project, stopped ones too unless told otherwise; without one-off jobs."""
        filters = [f"label=com.docker.compose.project={self.project}"]
        if service:
            filters += [f"label=com.docker.compose.service={service}", "label=com.docker.compose.oneoff=False"]
        found = docker("ps", "-q", *([] if running else ["-a"]), *(part for each in filters for part in ("-f", each)))
        return found.split()

    def container(self, service: str) -> str:
        """The one container of a service."""
        (found,) = self.containers(service)
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        """What Docker knows of a container."""
        found: list[dict[str, Any]] = json.loads(docker("inspect", container))
        return found[0]

    def addresses(self, container: str) -> dict[str, str]:
        """Its address on each network, by the network's name in the compose file."""
        networks = self.inspect(container)["NetworkSettings"]["Networks"]
        return {name.removeprefix(f"{self.project}_"): each["IPAddress"] for name, each in networks.items()}

    def inside(self, container: str, *arguments: str, timeout: float = 60) -> Done:
        """A command in a running container."""
        done = subprocess.run(
            ["docker", "exec", container, *arguments], capture_output=True, text=True, check=False, timeout=timeout
        )
        return Done(done.stdout + done.stderr, done.returncode)

    def connects(self, container: str, host: str, port: int) -> bool:
        """Whether a process in the container can open a connection."""
        code = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
        return self.inside(container, "python", "-c", code).status == 0

    def kill(self, service: str) -> None:
        """SIGKILL for its container's first process, as in a crash; `docker kill` would count as a person's stop."""
        pid = self.inspect(self.container(service))["State"]["Pid"]
        alone = ("--pid=host", "--user=0", "--cap-drop=ALL", "--cap-add=KILL")
        docker("run", "--rm", *alone, "fraud-gateway", "sh", "-c", f"kill -9 {pid}")

    def restarts(self, service: str) -> int:
        """How often Docker has started its container again."""
        return int(self.inspect(self.container(service))["RestartCount"])

    def is_healthy(self) -> bool:
        """Whether every container runs, those with a health check are healthy, and the published port is ready."""
        states = [self.inspect(each)["State"] for each in self.listed()]
        running = [state for state in states if state["Status"] != "exited" or state["ExitCode"] != 0]
        sound = all(
            state["Status"] == "running" and state.get("Health", {}).get("Status", "healthy") == "healthy"
            for state in running
        )
        return bool(running) and sound and self.answers()

    def answers(self) -> bool:
        """Whether the published port can score."""
        try:
            return self.client.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def upload(self) -> httpx.Response:
        """The guide's request."""
        with (ROOT / "examples" / "transactions.csv").open("rb") as file:
            return self.client.post("/upload", files={"file": file})


def wait_for(condition: Callable[[], bool], seconds: float, printed: Callable[[], str]) -> float:
    """Waits for a condition; how long it took, or a failure with what is told."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {printed()}"
        time.sleep(0.2)
    return time.monotonic() - began

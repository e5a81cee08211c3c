"""Releases on three gateways under traffic: all follow soon, and none names what the record does not."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import pytest

from tests.docker.compose import ROOT, Compose, wait_for
from tests.docker.conftest import Measured

GATEWAYS = 3
WITHIN_SECONDS = 10.0
"""A quiet machine needs one."""
FOLLOW = """
import json, socket, sys, time, urllib.request
gateways = sorted({each[4][0] for each in socket.getaddrinfo("gateway", 8000, socket.AF_INET)})
wanted, until, seen = int(sys.argv[1]), time.time() + float(sys.argv[2]), {}
print("watching", flush=True)
while len(seen) < len(gateways) and time.time() < until:
    for each in gateways:
        health = json.load(urllib.request.urlopen(f"http://{each}:8000/health", timeout=5))
        if health["components"]["model"]["version"] == wanted:
            seen.setdefault(each, time.time())
    time.sleep(0.02)
print(json.dumps([len(gateways), sorted(seen.values())]))
"""
"""Runs on the gateways' network: when each of them was first seen to serve a version."""


@dataclass
class Traffic:
    """Uploads through the entry, one after the other, and what came of each.

    Attributes:
        seen: when each was sent and answered, and the version of the answer.
        failures: answers that were none.
    """

    stack: Compose
    seen: list[tuple[float, float, int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> None:
        """Sends until it is stopped."""
        content = (ROOT / "examples" / "transactions.csv").read_bytes()
        while not self.stop.is_set():
            began = time.time()
            try:
                # Each on a connection of its own, so that the entry spreads them over the gateways.
                answer = httpx.post(
                    f"{self.stack.url}/upload",
                    content=content,
                    headers={"X-API-Key": self.stack.key, "Content-Type": "text/csv"},
                    timeout=30,
                    trust_env=False,
                )
                answer.raise_for_status()
                versions = {each["model_version"] for each in answer.json()["predictions"]}
                self.seen += [(began, time.time(), version) for version in versions | {answer.json()["model_version"]}]
            except httpx.HTTPError as error:
                self.failures.append(repr(error))


@pytest.fixture
def traffic(stack: Compose) -> Iterator[Traffic]:
    """Uploads that go on during the test."""
    found = Traffic(stack)
    threads = [threading.Thread(target=found.go_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield found
    found.stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="module")
def three_gateways(stack: Compose) -> Iterator[Compose]:
    """The stack with three gateways and a second version in its store."""
    stack.run("up", "-d", "--scale", f"gateway={GATEWAYS}", "--no-recreate")
    wait_for(lambda: len(stack.containers("gateway")) == GATEWAYS, 60, lambda: stack.run("ps").output)
    wait_for(stack.is_healthy, 60, lambda: stack.run("ps").output)
    stack.run("run", "--rm", "train", "--seed", "1", timeout=600)
    yield stack
    stack.run("up", "-d", "--scale", "gateway=1", "--no-recreate")
    wait_for(stack.is_healthy, 60, lambda: stack.run("ps").output)


def record(stack: Compose) -> tuple[int, float]:
    """The recorded version, and when it was released, in seconds of the epoch."""
    text = stack.inside(stack.container("keeper"), "cat", "/srv/model_store/release.json").output
    fields = json.loads(text)
    return int(fields["version"]), datetime.fromisoformat(fields["released"]).timestamp()


def followed(stack: Compose, version: int, *command: str) -> tuple[float, list[float]]:
    """Runs a command that makes a version live; when that was recorded, and how long each gateway took to follow."""
    watching = ["docker", "exec", stack.container("keeper"), "python", "-c", FOLLOW, str(version), "150"]
    with subprocess.Popen(watching, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout
        assert watch.stdout.readline() == "watching\n"
        stack.fraud(*command)
        count, seen = json.loads(watch.stdout.read())
    live, released = record(stack)
    assert (live, count, len(seen)) == (version, GATEWAYS, GATEWAYS)
    return released, [when - released for when in seen]


def judged(traffic: Traffic, measured: Measured, versions: tuple[int, int], *command: str) -> None:
    """A change from one version to another under traffic: all follow in time, and every answer is as it must be."""
    before, after = versions
    traffic.seen.clear()
    wait_for(lambda: len(traffic.seen) > 5, 30, lambda: str(traffic.failures[:3]))
    released, seconds = followed(traffic.stack, after, *command)
    late = released + WITHIN_SECONDS
    wait_for(lambda: any(began > late for began, _, _ in traffic.seen[:]), 60, lambda: str(traffic.failures[:3]))
    assert traffic.failures == []
    assert {version for _, answered, version in traffic.seen if answered < released} == {before}
    assert {version for _, _, version in traffic.seen} == {before, after}
    assert {version for began, _, version in traffic.seen if began > late} == {after}
    assert max(seconds) < WITHIN_SECONDS
    measured[f"seconds until {GATEWAYS} gateways follow a {command[0]}"] = [round(each, 2) for each in seconds]
    measured[f"uploads during a {command[0]}, and failed ones"] = [len(traffic.seen), len(traffic.failures)]


def test_all_gateways_follow_a_release_and_a_rollback_within_a_second(
    three_gateways: Compose, traffic: Traffic, measured: Measured
) -> None:
    """Both go through the release job: no request fails, and no answer names a version that the record does not."""
    assert record(three_gateways)[0] == 1
    judged(traffic, measured, (1, 2), "release", "2", "--accept-shift")
    judged(traffic, measured, (2, 1), "rollback")


def test_a_canary_is_counted_and_ended(three_gateways: Compose, traffic: Traffic) -> None:
    """Gateways count a trial in Redis with no more rights than they have: it runs, and ends when it is told to."""
    assert "version 1 is live" in three_gateways.fraud("release", "2", "--canary", "50%").output
    wait_for(lambda: {1, 2} <= {version for *_, version in traffic.seen}, 60, lambda: str(traffic.failures[:3]))
    trial = three_gateways.client.get("/health").json()["components"]["trial"]
    assert (trial["version"], trial["kind"], trial["status"]) == (2, "canary", "running"), trial
    assert "canary" in three_gateways.fraud("release", "status").output
    three_gateways.fraud("release", "--abort")
    wait_for(lambda: three_gateways.client.get("/health").json()["components"]["trial"] is None, 30, lambda: "still on")
    assert traffic.failures == []


def test_a_gateway_that_is_taken_away_loses_no_request(three_gateways: Compose, traffic: Traffic) -> None:
    """Scaled down under traffic: what a gateway began it ends, and the rest goes to the others."""
    wait_for(lambda: len(traffic.seen) > 5, 30, lambda: str(traffic.failures[:3]))
    three_gateways.run("up", "-d", "--scale", "gateway=2", "--no-recreate")
    wait_for(lambda: len(three_gateways.containers("gateway")) == GATEWAYS - 1, 60, lambda: "still there")
    enough = len(traffic.seen) + 20
    wait_for(lambda: len(traffic.seen) > enough, 60, lambda: str(traffic.failures[:3]))
    assert traffic.failures == []

"""Releases on three gateways under traffic: all follow within a second, and none names what the record does not."""

import json
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
WITHIN_SECONDS = 1.0
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
    answers: list[str] = []
    watch = threading.Thread(
        target=lambda: answers.append(
            stack.inside(stack.container("keeper"), "python", "-c", FOLLOW, str(version), "150", timeout=200).output
        )
    )
    watch.start()
    stack.fraud(*command)
    watch.join()
    live, released = record(stack)
    count, seen = json.loads(answers[0].splitlines()[-1])
    assert (live, count) == (version, GATEWAYS)
    return released, [when - released for when in seen]


@pytest.mark.parametrize(
    ("versions", "command"), [((1, 2), ("release", "2", "--accept-shift")), ((2, 1), ("rollback",))]
)
def test_all_gateways_follow_within_a_second(
    three_gateways: Compose, traffic: Traffic, measured: Measured, versions: tuple[int, int], command: tuple[str, ...]
) -> None:
    """A release and a rollback by the release job reach all three; no request fails, and none names another version."""
    before, after = versions
    wait_for(lambda: len(traffic.seen) > 5, 30, lambda: str(traffic.failures[:3]))
    released, seconds = followed(three_gateways, after, *command)
    enough = len(traffic.seen) + 20
    wait_for(lambda: len(traffic.seen) > enough, 60, lambda: str(traffic.failures[:3]))
    assert traffic.failures == []
    assert {version for _, answered, version in traffic.seen if answered < released} == {before}
    assert {version for _, _, version in traffic.seen} == {before, after}
    assert {version for began, _, version in traffic.seen if began > released + WITHIN_SECONDS} == {after}
    assert len(seconds) == GATEWAYS
    assert max(seconds) < WITHIN_SECONDS
    measured[f"seconds until {GATEWAYS} gateways follow a {command[0]}"] = [round(each, 2) for each in seconds]
    measured[f"requests during a {command[0]}, failed"] = [len(traffic.seen), len(traffic.failures)]


def test_a_gateway_that_is_taken_away_loses_no_request(three_gateways: Compose, traffic: Traffic) -> None:
    """Scaled down under traffic: what a gateway began it ends, and the rest goes to the others."""
    wait_for(lambda: len(traffic.seen) > 5, 30, lambda: str(traffic.failures[:3]))
    three_gateways.run("up", "-d", "--scale", "gateway=2", "--no-recreate")
    wait_for(lambda: len(three_gateways.containers("gateway")) == GATEWAYS - 1, 60, lambda: "still there")
    enough = len(traffic.seen) + 20
    wait_for(lambda: len(traffic.seen) > enough, 60, lambda: str(traffic.failures[:3]))
    assert traffic.failures == []

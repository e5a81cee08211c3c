"""Releases under a steady load, proven from the request log."""

import time
from collections.abc import Iterator
from functools import partial

import pytest

from benchmarks.load import Load, achieved, failed, summary
from benchmarks.switches import LOG_SLACK, Request, Switch, logged, violations
from tests.system.conftest import IN_FLIGHT, Stack, Twin, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

RATE = 50
ROUNDS = 10
MIN_RATE = 5
"""What a machine that is busy with other things must send for this to be a load."""
ROLLBACK_SECONDS = 30.0
"""A quiet machine takes under one (docs/releases.md); a rollback that waits for a server takes a minute."""


def test_ten_releases_and_rollbacks_under_load(stack: Stack, twin: Twin) -> None:
    """Under 50 requests a second, or what the machine can do, none fails, each switch is one in time order."""
    with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
        switches = list(_switches(stack, twin, load))
    print(summary(load.answers), "rollbacks", [f"{each.done - each.began:.2f}" for each in switches[1::2]])
    assert failed(load.answers) == []
    assert achieved(load.answers) > MIN_RATE
    assert [each for each in load.answers if each.body["predictions"] != twin.right[each.body["model_version"]]] == []
    assert max(each.done - each.began for each in switches[1::2]) <= ROLLBACK_SECONDS
    noted = [Request(each.started, each.ended, each.version or 0) for each in load.answers]
    assert violations(1, switches, noted) == []
    _check_the_log(stack, load, switches)


def _switches(stack: Stack, twin: Twin, load: Load) -> Iterator[Switch]:
    """Releases and rollbacks in turn, each as soon as the one before has been seen to score."""
    for _ in range(ROUNDS):
        for version, command in ((twin.version, ["release", str(twin.version)]), (1, ["rollback"])):
            began = time.time()
            stack.fraud(*command)
            done = time.time()
            yield Switch(version, began, done)
            wait_for(partial(_seen, load, done))


def _seen(load: Load, moment: float) -> bool:
    return any(each.started > moment for each in load.answers[-RATE:])


def _check_the_log(stack: Stack, load: Load, switches: list[Switch]) -> None:
    """The gateway's own log has each request once, as its caller saw it, and proves the same."""
    lines = (stack.directory / "var" / "log" / "gateway.jsonl").read_text().splitlines()
    found = list(logged(lines, load.prefix))
    assert sorted((identity, status) for identity, status, _ in found) == sorted(
        (each.identity, each.status) for each in load.answers
    )
    requests = [request for _, _, request in found if request]
    versions = {identity: request.version for identity, _, request in found if request}
    assert versions == {each.identity: each.version for each in load.answers}
    assert violations(1, switches, requests, LOG_SLACK) == []

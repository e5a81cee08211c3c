"""A bad night: each part is killed with -9 under a stream of uploads."""

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from tests.system.conftest import Stack, Traffic, find, gateway, jvm, valkey, wait_for, worker

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

HONEST = {503, 504}
WHOLE_AGAIN_SECONDS = 60
DEADLINE_SECONDS = 13
"""The gateway's own deadline of 10 s, and a busy machine's slack."""
STEADY = 20
"""Answers in a row that must be right before a stack counts as whole: readiness alone is remembered for a second."""


@pytest.mark.parametrize("part", [worker, jvm, valkey])
def test_a_killed_part_gives_no_wrong_answer_and_comes_back(
    stack: Stack, sample: bytes, part: Callable[[str], bool]
) -> None:
    """Every answer meanwhile is the right one or an honest 503, and within 60 s all is whole, by itself."""
    right = stack.upload(sample).json()
    victims = find(stack, part)
    assert victims
    with Traffic(stack, sample) as traffic:
        wait_for(lambda: len(traffic.answers) > 3, 30)
        os.kill(victims[0], signal.SIGKILL)
        wait_for(lambda: victims[0] not in find(stack, part), 10)
        seen = len(traffic.answers)
        wait_for(
            lambda: (
                len(find(stack, part)) >= len(victims)
                and len(traffic.answers) >= seen + STEADY
                and all(status == httpx.codes.OK for status, _ in traffic.answers[-STEADY:])
                and _whole(stack)
            ),
            WHOLE_AGAIN_SECONDS,
        )
    for status, body in traffic.answers:
        assert status in HONEST or (status == 200 and body == right), (status, body)


def test_a_killed_gateway_comes_back(stack: Stack, sample: bytes) -> None:
    """The gateway too is started again by itself."""
    victims = find(stack, gateway)
    os.kill(victims[0], signal.SIGKILL)
    wait_for(lambda: victims[0] not in find(stack, gateway), 10)
    wait_for(stack.ready, WHOLE_AGAIN_SECONDS)
    assert stack.upload(sample).status_code == 200


@pytest.mark.parametrize("part", [jvm, valkey])
def test_a_frozen_part_is_answered_within_the_deadline(
    stack: Stack, sample: bytes, part: Callable[[str], bool]
) -> None:
    """A part that hangs costs no caller more than the deadline: a frozen TorchServe is 503 or 504, Valkey nothing."""
    frozen = find(stack, part)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        status = stack.upload(sample).status_code
        assert time.monotonic() - started < DEADLINE_SECONDS
        assert status in (HONEST if part is jvm else {httpx.codes.OK})
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: _whole(stack), WHOLE_AGAIN_SECONDS)
    assert stack.upload(sample).status_code == httpx.codes.OK


def _whole(stack: Stack) -> bool:
    return stack.ready() and bool(stack.client.get("/health").json()["status"] == "healthy")

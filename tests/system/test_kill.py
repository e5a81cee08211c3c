"""A bad night: each part is killed with -9 under a stream of uploads."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

import httpx
import pytest

from benchmarks.load import NO_ANSWER, OK, Load, failed
from tests.system.conftest import IN_FLIGHT, Stack, Twin, find, gateway, jvm, release, valkey, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

HONEST = {503, 504}
DEADLINE_SECONDS = 25
"""The gateway's own deadline of 10 s, and a busy machine's slack; a call that hangs would fail after 30 s."""
StackPart = Callable[[str], bool]
ORDERS: Sequence[Sequence[StackPart]] = [(jvm, valkey, gateway), (valkey, gateway, jvm), (gateway, jvm, valkey)]
"""Each part is first, second and last once; all six held when this was written, at 7 to 20 s each."""
RATE = 20
STEADY = 20
"""Answers in a row that must be right before a stack counts as whole: readiness alone is remembered for a second."""


def _names(order: Sequence[StackPart]) -> str:
    return "-".join(part.__name__ for part in order)


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
    wait_for(lambda: _whole(stack))
    assert stack.upload(sample).status_code == httpx.codes.OK


def test_all_parts_killed_at_once(stack: Stack, twin: Twin) -> None:
    """JVM, Valkey and gateway killed in one moment: the recorded version serves again, and no other meanwhile."""
    _kill_all(stack, twin, twin.version, (jvm, valkey, gateway), in_turn=False)


@pytest.mark.parametrize("order", ORDERS, ids=_names)
def test_all_parts_killed_in_turn(stack: Stack, twin: Twin, order: Sequence[StackPart]) -> None:
    """Likewise when each is killed as soon as the one before is down."""
    _kill_all(stack, twin, 1, order, in_turn=True)


def _kill_all(stack: Stack, twin: Twin, live: int, order: Sequence[StackPart], *, in_turn: bool) -> None:
    release(stack, live)
    wait_for(lambda: _whole(stack))
    with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
        wait_for(lambda: len(load.answers) >= STEADY)
        for part in order:
            victims = find(stack, part)
            assert victims
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            if in_turn:
                wait_for(partial(_gone, stack, victims, part))
        seen = len(load.answers)
        wait_for(lambda: _steady(load, seen) and _whole(stack))
    for each in load.answers:
        assert each.status in {NO_ANSWER, *HONEST} or (each.status, each.version) == (OK, live), each
    whole = [each for each in load.answers if each.status == OK and "degraded" not in each.body]
    assert [each for each in whole if each.body["predictions"] != twin.right[live]] == []


def _gone(stack: Stack, victims: Sequence[int], part: StackPart) -> bool:
    return not set(victims) & set(find(stack, part))


def _steady(load: Load, seen: int) -> bool:
    """Whether the newest answers, which all came after so many, are all good, and none wants for history."""
    newest = load.answers[-STEADY:]
    wanting = any("degraded" in each.body for each in newest)
    return len(load.answers) >= seen + STEADY and failed(newest) == [] and not wanting


def _whole(stack: Stack) -> bool:
    return stack.ready() and bool(stack.client.get("/health").json()["status"] == "healthy")

"""The supervisor of several processes; how they end and come back is shown in tests/gateway/test_processes.py."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from gateway.processes.roles import ProcessCounts
from gateway.processes.states import ProcessStates
from gateway.processes.supervisor import Supervisor
from tests.gateway.serving_http import free_port
from tests.timeouts import WAIT_SECONDS


@pytest.mark.anyio
async def test_a_process_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing for too long is killed, and another one is started under its number."""
    monkeypatch.setenv("API_KEY", "k")
    states = ProcessStates(tmp_path)
    supervisor = Supervisor(ProcessCounts(1, 0), free_port(), states, drain_seconds=WAIT_SECONDS, watch_seconds=0.1)
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(WAIT_SECONDS):
        await _until_it_says_something(states)
        (before,) = _gateways()
        before.suspend()
        heard = states.others()[0].at
        supervisor.hang_seconds = 2.0
        while before.is_running():  # noqa: ASYNC110 - its end is no event here
            await asyncio.sleep(0.05)
        supervisor.hang_seconds = 1000.0  # However long the next one takes to start.
        await _until_it_says_something(states, heard)
        (after,) = _gateways()
        assert after != before
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert not after.is_running()


@pytest.mark.anyio
async def test_one_for_large_bodies_starts_last_but_waits_for_nobody_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no model server, so that nobody can score: it starts after its time."""
    monkeypatch.setenv("API_KEY", "k")
    states = ProcessStates(tmp_path)
    supervisor = Supervisor(ProcessCounts(1, 1), free_port(), states, drain_seconds=WAIT_SECONDS)
    supervisor.alone_seconds = 1000.0
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(WAIT_SECONDS):
        await _until_it_says_something(states)
        assert len(_gateways()) == 1
        supervisor.alone_seconds = 0.0
        while len(_gateways()) < 2:  # noqa: ASYNC110 - a process has no event here
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        await running


def _gateways() -> list[psutil.Process]:
    """The processes of gateways that this one has started; fixtures of other tests may have started others."""
    return [child for child in psutil.Process().children() if "gateway.process" in child.cmdline()]


async def _until_it_says_something(states: ProcessStates, since: float = 0.0) -> None:
    while not any(each.at > since and each.listening for each in states.others()):  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(0.05)

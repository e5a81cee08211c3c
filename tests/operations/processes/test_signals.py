"""Being told to stop."""

import asyncio
import os
import signal

import pytest

from operations.processes import signals
from operations.processes.signals import stop_signals, wait_for_stop


async def fails() -> None:
    """A task that ends by itself."""
    raise ValueError("x")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_tells(number: signal.Signals) -> None:
    """Any of the three ends the wait."""

    async def run() -> None:
        async with stop_signals(lambda: pytest.fail("once is no hurry")) as stop:
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
            await wait_for_stop(stop, {asyncio.create_task(asyncio.sleep(300))})

    asyncio.run(run())


def test_a_second_signal_hurries_but_not_an_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout` sends two at once; a person who presses Ctrl-C again means it."""
    hurried = asyncio.Event()

    async def run() -> None:
        async with stop_signals(hurried.set) as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            assert not hurried.is_set()
            monkeypatch.setattr(signals, "ECHO_SECONDS", -1.0)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(hurried.wait(), 30)

    asyncio.run(run())


def test_a_task_that_fails_is_raised() -> None:
    """Before anybody has told to stop."""

    async def run() -> None:
        async with stop_signals(lambda: None) as stop:
            await wait_for_stop(stop, {asyncio.create_task(fails())})

    with pytest.raises(ValueError, match="x"):
        asyncio.run(run())

"""The rounds of the stack: what the loops do with what a look finds, and a training on the stack's own loop."""

import asyncio
import json
import threading
from pathlib import Path
from typing import cast

import psutil
import pytest

from operations import settings
from operations.errors import OperationsError
from operations.keeper import reconcile_loop
from operations.processes.supervisor import MARK
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.trial_monitor import TrialMonitor
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.reconciler_scenario import ReconcilerScenario

SLOW = "import pathlib, os, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(300)"


@pytest.fixture
def child(tmp_path: Path) -> settings.StackSettings:
    """A directory where `python -m operations` fails at once."""
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "__init__.py").touch()
    (tmp_path / "operations" / "__main__.py").write_text("raise SystemExit(1)")
    return settings.stack_settings("127.0.0.1", 8000, {}, tmp_path)


def test_a_server_that_never_answers_is_taken_for_frozen(
    target: DeploymentTarget, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is frozen would never be started again otherwise: whoever runs it is told."""
    monkeypatch.setattr(reconcile_loop, "HANG_SECONDS", 0.0)
    monkeypatch.setattr(reconcile_loop, "POLL_SECONDS_WHILE_DOWN", 0.0)
    scenario, frozen = ReconcilerScenario(target, torchserve), threading.Event()
    scenario.write(1)
    torchserve.down = True

    async def run() -> None:
        looking = asyncio.create_task(reconcile_loop.reconcile_forever(scenario.reconciler, frozen.set))
        assert await asyncio.to_thread(frozen.wait, 30)
        looking.cancel()

    asyncio.run(run())


def test_a_defect_is_told_and_ends_nothing(log_lines: list[str]) -> None:
    """A look that raises what nobody expected does not end the loop, and with it the gateway."""
    again = threading.Event()

    class Surprised:
        target = None

        def check(self) -> None:
            if log_lines:
                again.set()
            raise KeyError("a secret")

    async def run() -> None:
        looking = asyncio.create_task(reconcile_loop.monitor_trial_forever(cast("TrialMonitor", Surprised())))
        assert await asyncio.to_thread(again.wait, 30)
        looking.cancel()

    asyncio.run(run())
    assert log_lines[0].startswith("a defect, please report it: KeyError in test_reconcile_loop.py:")
    assert "secret" not in log_lines[0]


def test_a_training_fails_on_the_thread_that_asked_for_it(child: settings.StackSettings) -> None:
    """The reconciler, on its thread, gets the error of the child that ran on the loop."""

    async def run() -> None:
        base = reconcile_loop.base_model_trainer(child, {MARK: "a-token"})
        with pytest.raises(OperationsError, match="`fraud train` failed"):
            await asyncio.to_thread(base)

    asyncio.run(run())


def test_a_training_ends_with_the_stack(child: settings.StackSettings) -> None:
    """When the stack's loop ends, the child is ended, and the thread that waits for it is let go."""
    (child.paths.root / "operations" / "__main__.py").write_text(SLOW)
    seen = child.paths.root / "pid"

    async def run() -> None:
        base = reconcile_loop.base_model_trainer(child, {MARK: "a-token"})
        training = asyncio.create_task(asyncio.to_thread(base))
        while not (seen.exists() and seen.read_text()):  # noqa: ASYNC110 - no event tells of another process
            await asyncio.sleep(0.01)
        training.cancel()

    asyncio.run(run())
    assert not psutil.pid_exists(json.loads(seen.read_text()))

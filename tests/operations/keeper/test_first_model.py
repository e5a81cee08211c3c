"""What a stack that starts serves, and the processes that it trains in."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from environment.secret_files import NAMES
from history.epoch import LOADING
from operations import settings
from operations.errors import OperationsError
from operations.files import durable
from operations.history.redis_access import Interrupted
from operations.keeper import first_model
from operations.processes.supervisor import MARK
from operations.rollout import release as release_module
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release, start_trial
from operations.settings import StackSettings
from operations.store.release_record import read_record
from releases.record import TrialKind
from tests.keys import HISTORY_KEY
from tests.operations.conftest import add
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.reconciler_scenario import ReconcilerScenario
from tests.valkey import running

MARKED: Mapping[str, str] = {MARK: "a-token"}
CHILD = """
import json, os, pathlib, sys, time
while "load" in sys.argv and not pathlib.Path("go").exists():
    time.sleep(0.01)
pathlib.Path("seen.json").write_text(json.dumps([sys.argv[1:], dict(os.environ)]))
sys.exit(7 if "fail" in sys.argv else 0)
"""


def quiet(_: str) -> None:
    """Hears nothing."""


def asking(root: Path, version: int) -> StackSettings:
    """The settings of a start that asks for a version."""
    return settings.stack_settings("127.0.0.1", 8000, {"MODEL_PATH": f"model_store/fraud-{version}.mar"}, root)


@pytest.fixture
def scenario(target: DeploymentTarget, torchserve: FakeTorchServe) -> ReconcilerScenario:
    """Version 2 is live, and TorchServe has just started."""
    scenario = ReconcilerScenario(target, torchserve)
    scenario.write(2, previous=1)
    return scenario


@pytest.fixture
def child(tmp_path: Path) -> StackSettings:
    """A directory where `python -m operations` writes down what it was given, and does nothing else."""
    (tmp_path / "operations").mkdir()
    (tmp_path / "operations" / "__init__.py").touch()
    (tmp_path / "operations" / "__main__.py").write_text(CHILD)
    env = {"API_KEY": "a-key", "ALERT_URL": "https://chat/secret", "REDIS_URL": "redis://:x@there"}
    env["MODEL_PATH"] = "store"
    return settings.stack_settings("127.0.0.1", 8000, env, tmp_path)


def test_another_first_version_waits_for_the_reconciler(
    target: DeploymentTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack that starts with MODEL_PATH at another version than the recorded one loads them one after the other."""
    release(target, 1, quiet)
    monkeypatch.setattr(release_module, "RELEASE_LOCK_TIMEOUT", 0.05)
    ensuring = first_model.ensure_released(asking(tmp_path, 2), lambda: target, MARKED)
    with durable.locked(target.store / ".release.lock", ""):
        starting = threading.Thread(target=lambda: asyncio.run(ensuring))
        starting.start()
        starting.join(0.3)
        assert starting.is_alive()
    starting.join(60)
    assert (record := read_record(target.store)) is not None
    assert (record.version, record.previous) == (2, 1)


def load_history(child: StackSettings, url: str | None, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Loads the history of the default model; `meanwhile` is called while that runs."""
    child = replace(child, redis_url=url, history_key=HISTORY_KEY)

    async def load() -> None:
        async with first_model.loading_history(child, 1, MARKED):
            meanwhile()

    asyncio.run(load())


def test_the_default_model_gets_its_past(
    child: StackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    """A process of its own loads it, with the mark of the stack and its Redis; gateways know of it until it ends."""
    monkeypatch.setattr(first_model, "lacks_simulated_past", lambda *_: True)
    (tmp_path / "valkey").mkdir()
    with running(tmp_path / "valkey") as valkey, closing(valkey.client()) as redis:
        leases = list[object]()

        def check() -> None:
            leases.append(redis.exists(LOADING))
            (tmp_path / "go").touch()

        load_history(child, valkey.url, check)
        (message,) = log_lines
        assert [*leases, redis.exists(LOADING)] == [1, 0]
        assert "has its simulated past" in message
        arguments, environment = json.loads((tmp_path / "seen.json").read_text())
        assert arguments == ["history", "load", "--simulator", "--version", "1"]
        assert (environment["REDIS_URL"], environment[MARK]) == (valkey.url, MARKED[MARK])
        assert environment["HISTORY_KEY"] == HISTORY_KEY


def test_a_past_that_is_there_is_left_alone(
    child: StackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    """Nothing is started, and nothing message; nor where there is no Redis."""
    monkeypatch.setattr(first_model, "lacks_simulated_past", lambda *_: False)
    load_history(child, "redis://stack")
    load_history(child, None)
    assert log_lines == []
    assert not (tmp_path / "seen.json").exists()


def test_a_past_that_cannot_be_loaded_ends_nothing(
    child: StackSettings, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    """A Redis that stays away is a line, without its address."""

    def away(*_: object) -> bool:
        raise Interrupted("Redis does not answer")

    monkeypatch.setattr(first_model, "lacks_simulated_past", away)
    monkeypatch.setattr(first_model, "REDIS_TIMEOUT", 0.0)
    load_history(child, "redis://:secret@stack")
    (message,) = log_lines
    assert "was not loaded" in message
    assert "secret" not in message


def test_another_trial_does_not_end_the_start(target: DeploymentTarget, tmp_path: Path) -> None:
    """MODEL_PATH at a version ends the trial of another one, which nobody could end before the stack runs."""
    add(target.registry, tmp_path, 3)
    release(target, 1, quiet)
    start_trial(replace(target, redis_url="redis://nowhere"), 3, TrialKind.SHADOW, 1.0, quiet)
    assert asyncio.run(first_model.ensure_released(asking(tmp_path, 2), lambda: target, MARKED)) == 2
    assert (record := read_record(target.store)) is not None
    assert (record.version, record.trial) == (2, None)


def test_one_of_several_servers_that_answers_is_enough_for_the_first_release(target: DeploymentTarget) -> None:
    """A pod that never comes up does not keep the first version from the others."""
    dead = FakeTorchServe(down=True).server()
    assert first_model.any_server_answers(replace(target, server=dead, others=(target.server,)))
    assert not first_model.any_server_answers(replace(target, server=dead))


def test_a_lost_record_is_not_guessed(target: DeploymentTarget, tmp_path: Path) -> None:
    """Where versions were released before, the newest need not have been live: the start says what to do."""
    release(target, 1, quiet)
    target.record_path.unlink()
    found = settings.stack_settings("127.0.0.1", 8000, {}, tmp_path)
    with pytest.raises(OperationsError, match=r"release\.json is gone.*MODEL_PATH="):
        asyncio.run(first_model.ensure_released(found, lambda: target, MARKED))
    assert asyncio.run(first_model.ensure_released(asking(tmp_path, 1), lambda: target, MARKED)) == 1


def test_a_version_that_took_over_stays_live(
    scenario: ReconcilerScenario, tmp_path: Path, log_lines: list[str]
) -> None:
    """MODEL_PATH at the version that could not be loaded does not end the next start: what took over goes on."""
    scenario.damage(2)
    scenario.reconcile()
    version = asyncio.run(first_model.ensure_released(asking(tmp_path, 2), lambda: scenario.target, MARKED))
    assert (version, scenario.record.version) == (1, 1)
    assert log_lines == ["version 1 took over from version 2, which MODEL_PATH names, and stays live"]


def test_a_child_carries_the_mark_and_no_secret(child: StackSettings) -> None:
    """What is killed with the stack can be found by its mark; a command gets the store, and no secret."""
    asyncio.run(first_model.run_fraud_command(child, MARKED, "train", "--no-hint"))
    arguments, environment = json.loads((child.paths.root / "seen.json").read_text())
    assert arguments == ["train", "--no-hint"]
    assert environment.items() >= {**MARKED, "MODEL_PATH": str(child.paths.store)}.items()
    assert not environment.keys() & {*NAMES, *(f"{name}_FILE" for name in NAMES)}


def test_a_child_that_fails_is_an_error(child: StackSettings) -> None:
    """Its exit code is told; it has message why itself."""
    with pytest.raises(OperationsError, match=r"`fraud sample` failed \(exit code 7\)"):
        asyncio.run(first_model.run_fraud_command(child, MARKED, "sample", "fail"))


def test_a_training_without_a_model_is_an_error(child: StackSettings) -> None:
    """A child that ends well and adds nothing is not taken for a training; an older version is not its result."""
    with pytest.raises(OperationsError, match="no model came"):
        asyncio.run(first_model.train(child, MARKED))

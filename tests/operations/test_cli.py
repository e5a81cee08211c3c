"""The `fraud` command: short answers, one line for what goes wrong."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli import app, commands
from operations.errors import OperationsError, in_words
from operations.retraining import train as training
from operations.rollout import release as module
from operations.rollout.deployment import DeploymentTarget
from operations.rollout.release import release
from operations.store.registry import Registry
from releases.record import Release
from tests.timeouts import WAIT_SECONDS
from training.train import TrainRequest


def test_models_are_listed_with_their_state(
    target: DeploymentTarget, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`fraud models` shows which version is live and which was before it."""
    release(target, 1, lambda _: None)
    release(target, 2, lambda _: None)
    monkeypatch.chdir(tmp_path)
    lines = CliRunner().invoke(commands, ["models"]).stdout.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in lines[1:]] == [("2", "live"), ("1", "previous")]


def test_an_expected_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Releasing where nothing runs says what to do, with exit code 1 and no traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fraud", "release", "1"])
    with pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "error: nothing runs here: start `fraud up`, or set MANAGEMENT_URL and INFERENCE_URL\n"
    )


def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`fraud up` where nothing can be written names the file and the reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").touch()
    monkeypatch.setattr(sys, "argv", ["fraud", "up"])
    with pytest.raises(SystemExit) as ended:
        app()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'var' / 'run'}: Not a directory\n"


def test_an_error_without_a_file_names_none() -> None:
    """An error of the system that names no file is its reason alone."""
    assert in_words(OSError(28, "No space left on device")) == "No space left on device"
    assert in_words(TimeoutError()) == "TimeoutError"


def test_the_version_is_said() -> None:
    """`fraud --version` is one line."""
    assert CliRunner().invoke(commands, ["--version"]).stdout.startswith("fraud 1.")


def test_epochs_are_trainings_own() -> None:
    """Without --epochs a training runs as many as training itself chose."""
    wanted = training.TrainOptions(None, None, 0, None)
    assert training._request(1, Path(), wanted).epochs == TrainRequest(1, Path()).epochs
    assert training._request(1, Path(), replace(wanted, epochs=3)).epochs == 3


def test_a_release_verifies_the_store_that_the_stack_loads_from(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a shell without the stack's MODEL_PATH, the store of the running stack is meant, not ./model_store."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "var" / "run").mkdir(parents=True)
    addresses = {"management_url": "http://127.0.0.1:1", "inference_url": "http://127.0.0.1:2", "store": str(elsewhere)}
    (tmp_path / "var" / "run" / "stack.json").write_text(json.dumps(addresses))
    monkeypatch.chdir(tmp_path)
    asked: list[Path] = []

    def make_live(target: DeploymentTarget, version: int, *_: object, **__: object) -> Release:
        asked.append(target.store)
        return Release(version, None, "2026-01-01T00:00:00+00:00")

    monkeypatch.setattr(module, "release", make_live)
    assert CliRunner().invoke(commands, ["release", "2"]).exit_code == 0
    assert asked == [elsewhere]


def test_what_starts_the_stack_imports_nothing_slow() -> None:
    """`fraud up` loads neither torch nor pandas: the second start must be quick."""
    slow = "{'torch', 'pandas', 'training'}"
    code = f"import sys, operations.cli, operations.local.stack; print({slow} & sys.modules.keys())"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=WAIT_SECONDS
    )
    assert shown.stdout.strip() == "set()"


def test_presets_are_listed_and_written(tmp_path: Path) -> None:
    """Alone the command lists them; one is written once, for it may be edited."""
    out = tmp_path / "stripe.toml"
    assert "stripe " in CliRunner().invoke(commands, ["schema", "preset"]).stdout
    written = CliRunner().invoke(commands, ["schema", "preset", "stripe", "-o", str(out)], catch_exceptions=False)
    assert 'kind = "label"' in out.read_text()
    assert written.exit_code == 0
    with pytest.raises(OperationsError, match="may hold your edits"):
        CliRunner().invoke(commands, ["schema", "preset", "banksim", "-o", str(out)], catch_exceptions=False)


def test_an_unknown_preset_is_an_error() -> None:
    """Which lists the known ones."""
    with pytest.raises(OperationsError, match="There are: adyen"):
        CliRunner().invoke(commands, ["schema", "preset", "x"], catch_exceptions=False)

"""The `fraud` command: short answers, one line for what goes wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli import app, commands
from operations.registry import Registry
from operations.release import Place, release


def test_models_are_listed_with_their_state(
    place: Place, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`fraud models` shows which version is live and which was before it."""
    release(place, 1, lambda _: None)
    release(place, 2, lambda _: None)
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


def test_what_starts_the_stack_imports_nothing_slow() -> None:
    """`fraud up` loads neither torch nor pandas: the second start must be quick."""
    code = "import sys, operations.cli, operations.stack; print({'torch', 'pandas', 'training'} & sys.modules.keys())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "set()"

"""The commands that a timer runs."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli import commands
from operations.commands.terminal import environment
from operations.errors import OperationsError
from operations.jobs import outcome
from operations.settings import StatePaths
from releases.record import FILE_NAME, Release


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, in which the commands run, with no setting of ours in the environment."""
    for name in ("BACKUP_TO", "BACKUP_KEEP", "TRAINING_DATA", "MODEL_PATH", "MANAGEMENT_URL", "ALERT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_store").mkdir()
    return tmp_path


def reported(directory: Path) -> str:
    """The outcomes that the commands left in a directory."""
    return outcome.metrics_text(StatePaths(directory, directory / "model_store")).decode()


@pytest.mark.parametrize("job", ["backup", "clean", "retrain"])
def test_a_job_leaves_its_outcome(directory: Path, job: str) -> None:
    """Each job reports that it ended well, for whoever reads metrics."""
    assert CliRunner().invoke(commands, [job]).exit_code == 0
    assert f'fraud_job_last_exit_code{{job_name="{job}"}} 0' in reported(directory)


def test_a_job_that_fails_says_so_by_metric_and_exit_code(directory: Path) -> None:
    """A check finds a live version without an archive: exit code 1, in the metric too."""
    record = Release(1, None, "2026-01-01T00:00:00+00:00")
    (directory / "model_store" / FILE_NAME).write_bytes(record.to_bytes())
    assert CliRunner().invoke(commands, ["check"]).exit_code == 1
    assert 'fraud_job_last_exit_code{job_name="check"} 1' in reported(directory)


def test_a_backup_alone_goes_where_the_settings_say(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraud backup` without a word after it reads BACKUP_TO as `fraud backup create` does."""
    monkeypatch.setenv("BACKUP_TO", str(directory / "elsewhere"))
    assert CliRunner().invoke(commands, ["backup"]).exit_code == 0
    assert len(list((directory / "elsewhere").glob("*.tar"))) == 1


def test_a_dry_run_is_no_run(directory: Path) -> None:
    """Looking at what would be deleted leaves no outcome: nothing was cleaned."""
    assert CliRunner().invoke(commands, ["clean", "--dry-run"]).exit_code == 0
    assert "clean" not in reported(directory)


def test_a_schedule_that_does_not_run_is_not_healthy(directory: Path) -> None:
    """The health check of the schedule's container fails where none runs."""
    assert CliRunner().invoke(commands, ["schedule", "--healthy"]).exit_code == 1


def test_a_secret_file_that_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A command that cannot read a secret names the variable; there is no traceback."""
    monkeypatch.setenv("ALERT_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(OperationsError, match="ALERT_URL_FILE"):
        environment()

"""What is written is its owner's alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from operations.files import permissions
from operations.settings import StatePaths


def mode(path: Path) -> int:
    """Who may do what with it."""
    return path.lstat().st_mode & 0o777


def test_what_was_left_open_is_closed(tmp_path: Path) -> None:
    """Files and directories at any depth; what the owner may do stays, and a link leads nowhere."""
    elsewhere, program = tmp_path / "elsewhere", tmp_path / "in" / "deep" / "program"
    program.parent.mkdir(parents=True, mode=0o755)
    for path, bits in ((elsewhere, 0o644), (program, 0o755)):
        path.touch()
        path.chmod(bits)
    (program.parent / "link").symlink_to(elsewhere)
    permissions.restrict_to_owner(tmp_path / "in")
    assert [mode(path) for path in (tmp_path / "in", program.parent, program, elsewhere)] == [0o700] * 3 + [0o644]


def test_the_outcomes_of_jobs_stay_readable(tmp_path: Path) -> None:
    """By node_exporter, which may pass through var and not list it."""
    paths = StatePaths(tmp_path, tmp_path / "model_store")
    paths.prepare()
    paths.jobs.mkdir()
    paths.jobs.chmod(0o755)
    (paths.jobs / "backup.prom").touch()
    (paths.jobs / "backup.prom").chmod(0o644)
    paths.tighten_permissions()
    found = [mode(path) for path in (tmp_path / "var", paths.logs, paths.store, paths.jobs / "backup.prom")]
    assert found == [0o711, 0o700, 0o700, 0o644]


@pytest.mark.parametrize("arguments", [("sample", "-o", "rows.csv", "--rows", "3"), ("models",)])
def test_a_command_writes_for_its_user_alone(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Whatever the umask of who calls it: also what it was asked to write."""
    before = os.umask(0o022)
    try:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        subprocess.run([sys.executable, "-m", "operations", *arguments], cwd=tmp_path, env=environment, check=True)
    finally:
        os.umask(before)
    assert [path for path in tmp_path.rglob("*") if mode(path) & 0o077] == []

"""Starting again, two at once, and leaving nothing behind."""

import shutil
from pathlib import Path

import pytest

from tests.system.conftest import Stack, command_of

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]


def test_a_second_clone_runs_beside_and_stops_whole(stack: Stack, sample: bytes, tmp_path: Path) -> None:
    """A second stack starts on other ports from a filled store, scores the same, and its Ctrl-C leaves no process."""
    shutil.copytree(stack.directory / "model_store", tmp_path / "model_store")
    beside = Stack(tmp_path)
    try:
        beside.wait_until_ready()
        assert beside.upload(sample).json() == stack.upload(sample).json()
        processes = beside.processes()
        assert len(processes) > 5
    finally:
        beside.stop()
    assert beside.process.returncode == 0
    assert not [pid for pid in processes if command_of(pid)]
    assert stack.upload(sample).status_code == 200

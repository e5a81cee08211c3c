"""What a killed stack left behind is known by its mark, and by nothing that somebody else can come to have."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from operations.local.process_registry import ProcessRegistry
from operations.processes.supervisor import MARK

WITH_CHILD = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


@contextmanager
def started(environment: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A leader of a session and its child's number; both are killed in the end."""
    command = [sys.executable, "-S", "-c", WITH_CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, env=environment) as leader:
        assert leader.stdout
        child = int(leader.stdout.readline())
        try:
            yield leader, child
        finally:
            leader.kill()
            if psutil.pid_exists(child):
                psutil.Process(child).kill()


def earlier(directory: Path) -> ProcessRegistry:
    """The ledger of a stack that was killed."""
    registry = ProcessRegistry(directory / "ledger.json")
    (directory / "scratch").mkdir()
    registry.register(directory / "scratch")
    return registry


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    """Offspring carries the mark, also when its leader is gone; the scratch directory goes with it."""
    with started({**os.environ, **earlier(tmp_path).mark}) as (leader, child):
        leader.kill()
        leader.wait()
        assert ProcessRegistry(tmp_path / "ledger.json").kill_orphans() == 1
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "scratch").exists()


def test_what_carries_another_mark_or_none_is_left_alone(tmp_path: Path) -> None:
    """A stranger, and another stack, live on whatever their numbers."""
    earlier(tmp_path)
    with started(os.environ) as (stranger, _), started({**os.environ, MARK: "another"}) as (other, _):
        assert ProcessRegistry(tmp_path / "ledger.json").kill_orphans() == 0
        assert (stranger.poll(), other.poll()) == (None, None)


def test_a_ledger_of_an_earlier_form_ends_nothing(tmp_path: Path) -> None:
    """A file without a mark names nobody for certain."""
    (tmp_path / "ledger.json").write_text(f'{{"processes": [{{"pid": {os.getpid()}, "started": 1.0}}]}}')
    assert ProcessRegistry(tmp_path / "ledger.json").kill_orphans() == 0


def test_every_stack_has_a_mark_of_its_own(tmp_path: Path) -> None:
    """Marks are random."""
    assert ProcessRegistry(tmp_path / "ledger.json").mark != ProcessRegistry(tmp_path / "ledger.json").mark

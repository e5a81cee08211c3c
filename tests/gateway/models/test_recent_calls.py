"""What the processes of a gateway tell each other of calls for few rows."""

import subprocess
import sys
import time
from pathlib import Path

from gateway.models.recent_calls import RECENT_SECONDS, RecentCalls
from tests.timeouts import WAIT_SECONDS


def test_a_call_is_recent_for_a_while() -> None:
    """Before the first one there is none."""
    calls = RecentCalls()
    assert not calls.any
    began = time.monotonic()
    calls.note()
    while calls.any:
        assert time.monotonic() - began < WAIT_SECONDS
    assert time.monotonic() - began >= RECENT_SECONDS


def test_another_process_sees_it(tmp_path: Path) -> None:
    """Both map the same file."""
    calls = RecentCalls(tmp_path / "calls")
    assert not calls.any
    code = f"from gateway.models.recent_calls import *; RecentCalls(Path({str(tmp_path / 'calls')!r})).note()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WAIT_SECONDS)
    assert calls.any

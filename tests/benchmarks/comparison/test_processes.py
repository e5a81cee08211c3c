"""A server under measurement: it is waited for, what it uses is counted, and nothing of it stays."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.comparison.processes import PeakSampler, ServerFailedError, ServerProcesses, ServerProgram
from operations.local.programs import free_ports
from tests.timeouts import WAIT_SECONDS

SERVER = """
import http.server, subprocess, sys
child = [sys.executable, "-c", "import time; x = bytearray(50_000_000); time.sleep(1000)"]
subprocess.Popen(child, start_new_session=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        sum(range(3_000_000))
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def program(directory: Path, code: str = SERVER) -> ServerProgram:
    """A server with a child that has left its session."""
    (port,) = free_ports(1)
    command = (sys.executable, "-c", code, str(port))
    return ServerProgram(
        command, dict(os.environ), directory, port, "/", {"http.server": "server", "bytearray": "child"}
    )


def test_all_processes_are_found_and_none_is_left(tmp_path: Path) -> None:
    """The child too, which leads a session of its own and outlives its parent unless it is ended."""
    with ServerProcesses([program(tmp_path)], tmp_path / "log", WAIT_SECONDS) as server:
        members = server.members()
        labels = {server.label(member) for member in members}
        assert server.ready_seconds > 0
    assert labels >= {"server", "child"}
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members)


def test_processor_and_memory_are_told_by_process(tmp_path: Path) -> None:
    """What the server computed to be ready, and what its child holds."""
    with ServerProcesses([program(tmp_path)], tmp_path / "log", WAIT_SECONDS) as server:
        before = server.usage()
        with PeakSampler(server) as sampler:
            until = before.cpu_since(before)
            while not sampler.peak.get("child", 0.0) > 50:
                assert server.members()
        assert until["server"] == 0
        assert sum(seconds for _, seconds in before.cpu.values()) > 0


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its last lines stand in the error."""
    failing = program(tmp_path, "raise SystemExit('no such model')")
    with pytest.raises(ServerFailedError, match="no such model"):
        ServerProcesses([failing], tmp_path / "log", WAIT_SECONDS).__enter__()

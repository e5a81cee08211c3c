"""Each peer's server gives the probabilities of the bare module, in the form in which it is asked."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.comparison import answers, bodies, environments
from benchmarks.comparison.inputs import transactions
from benchmarks.comparison.processes import ServerProcesses
from benchmarks.comparison.servers import ServerContext
from benchmarks.comparison.systems import FRAMES, SYSTEMS, RequestKind, Server, System
from benchmarks.comparison.versions import ModelVersion
from benchmarks.peers.scorer import PeerScorer
from tests.benchmarks.peers.versions import write_plain_version
from tests.timeouts import WAIT_SECONDS

ROWS = transactions(50_000)[:300]
PEERS = {system.server.name: system.server for system in SYSTEMS if not system.is_ours and system.server is not FRAMES}


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """Servers keep sockets below it, whose paths have a hundred bytes at most."""
    with tempfile.TemporaryDirectory(prefix="fb-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)


def installed(server: Server) -> Server:
    """The server, or the reason for which it is not tested."""
    if server.peer and not environments.is_installed(server.peer):
        pytest.skip(f"its environment is not there: python -m benchmarks.comparison.environments {server.peer}")
    return server


def asked(system: System, kind: RequestKind, port: int, scorer: PeerScorer) -> np.ndarray:
    """The probabilities that it answers; TorchServe says 503 until its workers have loaded."""
    call = system.calls[kind]
    body = bodies.encode(call.encoding, ROWS[: 1 if kind is RequestKind.SINGLE else None], scorer)
    headers = {"Content-Type": bodies.content_type(call.encoding), **call.headers}
    until = time.monotonic() + WAIT_SECONDS
    while True:
        answer = httpx.post(f"http://127.0.0.1:{port}{call.path}", content=body, headers=headers, timeout=WAIT_SECONDS)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > until:
            break
    content = answer.raise_for_status().content
    assert answers.count(call.answer, content) == (1 if kind is RequestKind.SINGLE else len(ROWS))
    return answers.probabilities(call.answer, content)


@pytest.mark.system
@pytest.mark.parametrize("server", PEERS.values(), ids=PEERS)
def test_a_server_gives_the_bare_modules_probabilities(server: Server, tmp_path: Path, short_directory: Path) -> None:
    """One row, many rows and files, by every system that the server stands for."""
    unpacked = write_plain_version(tmp_path / "version")
    scorer, version = PeerScorer(unpacked), ModelVersion(tmp_path, unpacked)
    programs = installed(server).start(ServerContext(version, version, short_directory))
    expected = scorer.score(ROWS.to_dict("records"))  # type: ignore[arg-type] # names are text
    with ServerProcesses(programs, tmp_path / "log", WAIT_SECONDS) as running:
        for system in SYSTEMS:
            for kind in system.calls if system.server is server else ():
                given = asked(system, kind, programs[-1].port, scorer)
                np.testing.assert_allclose(given, expected[: len(given)], atol=1e-6)
        members = running.members()
    assert members
    assert not any(member.is_running() for member in members)

"""A newcomer's first hour: a clean checkout, `make run`, and every command that the documents show, in their order."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.conftest import GREETED, command_of, descendants, free_port, wait_for
from tests.timeouts import WAIT_SECONDS

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("newcomer"), pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
FIRST_RUN_SECONDS = 900
"""From `make run` in a clean checkout to /readyz: environment, first model and all, with a warm pip cache."""
BACKGROUND = "make run\n"


def bash_blocks(page: str) -> list[str]:
    """The commands that a page shows."""
    return re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


class Newcomer:
    """A clean checkout and its running stack."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / "make-run.txt"
        drop = {"API_KEY", "MAKEFLAGS", "MAKELEVEL", "REDIS_URL", "MODEL_PATH", "PORT", "VIRTUAL_ENV"}
        self.environment = {name: value for name, value in os.environ.items() if name not in drop}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["make", "run", f"PORT={self.port}"],
                cwd=directory,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ready(self) -> bool:
        """Whether the stack can score."""
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False, timeout=10).is_success
        except httpx.HTTPError:
            return False

    def paste(self, commands: str) -> str:
        """Runs a block of commands as pasted, but for the port; a failing command fails the block."""
        script = commands.replace("localhost:8000", f"localhost:{self.port}")
        for curl in ("curl -X POST", "curl -H", "curl http"):
            script = script.replace(curl, curl.replace("curl", "curl --silent --show-error --fail-with-body"))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def stop(self) -> None:
        """Ctrl-C reaches make and all below it, as on a terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(WAIT_SECONDS)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    """A checkout of what git knows of, changes included, with `make run` running in it."""
    directory = tmp_path_factory.mktemp("clone")
    known = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(known, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    started = Newcomer(directory)
    try:
        wait_for(started.ready, FIRST_RUN_SECONDS, lambda: started.log.read_text()[-3000:])
        wait_for(lambda: GREETED in started.log.read_text())
        yield started
    finally:
        processes = descendants(started.process.pid)
        started.stop()
        wait_for(lambda: not any(command_of(pid) for pid in processes))


PAGES = [
    "README.md",
    "docs/releases.md",
    "docs/report.md",
    "docs/train-your-own.md",
    "docs/backup.md",
    "docs/runbook.md",
]
"""A report is one of the newest version: it comes before there are versions of another file."""


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_works(newcomer: Newcomer, page: str) -> None:
    """Pasted in order into the checkout, each command that the page shows succeeds."""
    blocks = bash_blocks(page)
    assert blocks
    if page != "README.md":
        # Each page is written for a stack that serves the first model.
        newcomer.paste(".venv/bin/fraud release 1 --accept-shift")
    for block in blocks:
        if block != BACKGROUND:
            newcomer.paste(block)


def test_what_was_set_up_needs_nothing_done_again(newcomer: Newcomer) -> None:
    """A second make finds everything installed."""
    plan = subprocess.run(
        ["make", "--dry-run", "run"], cwd=newcomer.directory, capture_output=True, text=True, check=True
    )
    assert "pip" not in plan.stdout

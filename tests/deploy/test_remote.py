"""deploy/render/Dockerfile: the image of Render's cron jobs, as far as it can be known without building it."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "render" / "Dockerfile").read_text()
KEY = "aB+/c="


class Keeper(ThreadingHTTPServer):
    """A keeper that answers every job with the same bytes."""

    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall is well\n\nexit 3\n"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def environment(self) -> dict[str, str]:
        """What finds it, and may ask it."""
        return {"KEEPER_URL": f"http://127.0.0.1:{self.server_port}", "JOBS_KEY": KEY}


class _Handler(BaseHTTPRequestHandler):
    server: Keeper

    def do_POST(self) -> None:
        self.server.asked.append((self.path, self.headers["X-Jobs-Key"]))
        self.wfile.write(self.server.answer)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A keeper on a free port."""
    with Keeper() as keeper:
        thread = threading.Thread(target=keeper.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield keeper
        keeper.shutdown()
        thread.join()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The files that the Dockerfile copies, where it copies them to."""
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / target.lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)
    return tmp_path


def run(image: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program of a cron, as render.yaml starts it, with the standard library and the image's files alone."""
    crons = (each for each in yaml.safe_load((ROOT / "render.yaml").read_text())["services"] if each["type"] == "cron")
    python, *words, _ = next(crons)["dockerCommand"].split()
    assert python == "python"
    (path,) = re.findall(r"PYTHONPATH=(\S+)", DOCKERFILE)
    return subprocess.run(
        [sys.executable, "-S", *words, *arguments],
        env={"PYTHONPATH": str(image / path.lstrip("/")), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_image_holds_all_that_the_program_needs(image: Path, keeper: Keeper) -> None:
    """The very file of `fraud remote` runs there without a package: output and exit code are the job's."""
    ended = run(image, "check", **keeper.environment)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("all is well\n", "", 3)
    assert keeper.asked == [("/jobs/check", KEY)]


def test_the_host_alone_is_enough(image: Path) -> None:
    """Of MODELS_HOST it makes the keeper's address; nobody has that name, and it fails in one line without it."""
    ended = run(image, "check", MODELS_HOST="models.invalid", JOBS_KEY=KEY)
    assert ended.returncode == 1
    assert (
        ended.stderr
        == "error: fraud check was not started: the keeper cannot be reached, see KEEPER_URL or MODELS_HOST\n"
    )


@pytest.mark.parametrize("arguments", [(), ("../x",), ("a", "b")])
def test_other_words_ask_nobody(image: Path, keeper: Keeper, arguments: tuple[str, ...]) -> None:
    """A job's name is one word."""
    ended = run(image, *arguments, **keeper.environment)
    assert (ended.returncode, ended.stderr.count("\n"), keeper.asked) == (1, 1, [])


def test_without_a_key_it_fails_in_one_line(image: Path, keeper: Keeper) -> None:
    """It says what is missing."""
    ended = run(image, "check", KEEPER_URL=keeper.environment["KEEPER_URL"])
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: JOBS_KEY is not set")

"""The keeper as a process, beside fake TorchServes at real ports."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from operations.jobs.runner import KILL_SECONDS
from operations.jobs.schedule import lock
from operations.local.programs import free_ports
from operations.settings import StatePaths
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.torchserve.endpoints import TorchServeEndpoint
from releases.record import Release
from tests.operations.fake_torchserve import FakeTorchServe
from tests.operations.keeper.served import served
from tests.timeouts import WAIT_SECONDS

READY = ["READY", "READY"]
KEEP = """
import datetime, pathlib, sys
from rich.console import Console
from operations import settings
from operations.commands import terminal
from operations.errors import OperationsError
from operations.jobs import crontab, schedule
from operations.keeper.keep import keep
schedule.TICK_SECONDS, schedule.STARTUP_DELAY = 0.1, datetime.timedelta(0)
root, env = pathlib.Path.cwd(), terminal.environment()
try:
    jobs = crontab.read(root / env["SCHEDULE"]) if "SCHEDULE" in env else ()
    keep(settings.keeper_settings(env, root), Console(), jobs)
except OperationsError as error:
    sys.exit(f"error: {error}")
"""


@dataclass
class TorchServe(FakeTorchServe):
    """A fake that answers a registration only when the test lets it."""

    let: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One request to either port."""
        answer = super().answer(request)
        if request.method == "POST" and request.url.path == "/models":
            self.let.wait(2 * WAIT_SECONDS)
        return answer


@dataclass
class KeeperProcess:
    """One that runs."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> httpx.Response | None:
        """One page; None where nobody answers."""
        try:
            return httpx.get(self.url + path, trust_env=False, timeout=10)
        except httpx.HTTPError:
            return None

    @property
    def is_ready(self) -> bool:
        """Whether it says so."""
        assert self.process.poll() is None, self.message
        answer = self.get("/readyz")
        return answer is not None and answer.is_success

    @property
    def message(self) -> str:
        """What it has printed."""
        return self.log.read_text()


@dataclass
class Site:
    """A store with versions 1 and 2, a fake TorchServe, and keepers in its directory."""

    root: Path
    fake: TorchServe
    member: TorchServeEndpoint
    running: ExitStack
    keepers: list[KeeperProcess] = field(default_factory=list)

    def keep(self, **environment: str) -> KeeperProcess:
        """Starts one more."""
        port = free_ports(1)[0]
        log = self.root / f"keeper-{port}.log"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"MANAGEMENT_URL": self.member.management, "INFERENCE_URL": self.member.inference, "MODEL_WORKERS": "2"}
        own["KEEPER_PORT"] = str(port)
        process = self.running.enter_context(started(log, self.root, {**kept, **own, **environment}))
        return KeeperProcess(process, f"http://127.0.0.1:{port}", log)


@contextmanager
def started(log: Path, root: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A keeper, which is ended at last."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", KEEP], cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(WAIT_SECONDS)
        finally:
            process.kill()


@pytest.fixture
def site(registry: Registry) -> Iterator[Site]:
    """Nothing is released yet."""
    fake = TorchServe()
    fake.let.set()
    with ExitStack() as running:
        yield Site(registry.root.parent, fake, running.enter_context(served(fake)), running)
        fake.let.set()


def until(condition: Callable[[], object]) -> None:
    """Waits until something is so."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def live(root: Path) -> int:
    """The recorded version; 0 before the first."""
    record = read_record(root / "model_store")
    return record.version if record else 0


def test_the_newest_version_of_a_store_is_released_first(site: Site) -> None:
    """Where nothing was ever live; then it is ready, serves the record, and loads again what TorchServe forgets."""
    keeper = site.keep()
    until(lambda: keeper.is_ready)
    assert live(site.root) == 2
    served_record = keeper.get("/release.json")
    assert served_record
    assert served_record.content == (site.root / "model_store" / "release.json").read_bytes()
    site.fake.registered.clear()
    until(lambda: site.fake.registered == {2: READY})


def test_an_empty_store_gets_a_first_model(site: Site, tmp_path: Path) -> None:
    """It is trained by a process of its own, beside which the pages answer, and released."""
    store = tmp_path / "model_store"
    trained = tmp_path / "trained"
    store.rename(trained)
    (tmp_path / "operations").mkdir()
    train = f"import pathlib; pathlib.Path({str(trained)!r}, 'x').touch(); import shutil"
    train += f"; [shutil.copy(path, {str(store)!r}) for path in pathlib.Path({str(trained)!r}).glob('fraud-1.*')]"
    (tmp_path / "operations" / "__init__.py").touch()
    (tmp_path / "operations" / "__main__.py").write_text(train)
    keeper = site.keep()
    until(lambda: keeper.is_ready)
    assert live(site.root) == 1
    assert "the model store is empty: training" in keeper.message


def test_a_record_that_is_gone_is_told_once_and_waited_for(site: Site) -> None:
    """It is not guessed at, and the keeper does not end: its pages say why, and it goes on when the record is back."""
    (site.root / "model_store" / "journal.jsonl").write_text(json.dumps({"at": "x", "event": "released"}) + "\n")
    keeper = site.keep()
    until(lambda: (answer := keeper.get("/readyz")) and "versions were released before" in answer.text)
    record = Release(1, None, "2026-01-01T00:00:00+00:00")
    (site.root / "model_store" / "release.json").write_bytes(record.to_bytes())
    until(lambda: keeper.is_ready)
    assert keeper.message.count("release.json is gone, and versions were released before") == 1
    assert "Traceback" not in keeper.message


def test_a_damaged_record_is_told_once_and_waited_for(site: Site) -> None:
    """A keeper that ended would be started again and again, and alert each time."""
    record = site.root / "model_store" / "release.json"
    record.write_bytes(b"{garbage")
    keeper = site.keep()
    until(lambda: (answer := keeper.get("/readyz")) and "release.json" in answer.text)
    until(lambda: "release.json" in keeper.message)
    record.write_bytes(Release(1, None, "2026-01-01T00:00:00+00:00").to_bytes())
    until(lambda: keeper.is_ready)
    assert "Traceback" not in keeper.message


def test_a_second_keeper_waits_and_takes_over(site: Site) -> None:
    """It says so, is alive and not ready; when the first has ended, even by kill -9, it does the work."""
    first = site.keep()
    until(lambda: first.is_ready)
    second = site.keep()
    until(lambda: "another keeper works on this model store" in second.message)
    assert (second.get("/livez") or httpx.Response(0)).status_code == 200
    assert "another keeper" in (second.get("/readyz") or httpx.Response(0)).json()["detail"]
    first.process.kill()
    until(lambda: second.is_ready)
    site.fake.registered.clear()
    until(lambda: site.fake.registered == {2: READY})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once(site: Site, number: signal.Signals) -> None:
    """Without an error, also while a version is loaded that never starts."""
    (site.root / "model_store" / "release.json").write_bytes(Release(1, None, "2026-01-01T00:00:00+00:00").to_bytes())
    site.fake.let.clear()
    keeper = site.keep()
    until(lambda: "fraud-1.verified.mar" in site.fake.files)
    keeper.process.send_signal(number)
    assert keeper.process.wait(WAIT_SECONDS) == 0
    assert keeper.message.splitlines()[-1].endswith("stopped")


def with_a_job(site: Site, code: str, **environment: str) -> KeeperProcess:
    """A keeper that runs a job, which was due while nobody was there."""
    (site.root / "operations").mkdir()
    (site.root / "operations" / "__init__.py").touch()
    (site.root / "operations" / "__main__.py").write_text(code)
    (site.root / "crontab").write_text("0 3 * * 0 fraud backup --keep 3\n")
    (site.root / "var" / "jobs").mkdir(parents=True, exist_ok=True)
    (site.root / "var" / "jobs" / "schedule.json").write_text('{"began": 1, "since": {"backup": 1}}')
    return site.keep(SCHEDULE="crontab", **environment)


def test_it_runs_the_jobs_of_the_schedule(site: Site) -> None:
    """Each runs as a process of its own in the keeper's directory, and its output comes line by line.

    It reads secrets from their files itself: none stands in its environment that did not stand in the keeper's.
    """
    (site.root / "redis_url").write_text("redis://:s3cret@127.0.0.1:1")
    code = "import os, sys; print(sys.argv[1:], sorted({'REDIS_URL', 'REDIS_URL_FILE'} & os.environ.keys()))"
    keeper = with_a_job(site, code, REDIS_URL_FILE="redis_url")
    until(lambda: "backup ended with exit code 0" in keeper.message)
    assert "backup: ['backup', '--keep', '3'] ['REDIS_URL_FILE']" in keeper.message
    until(lambda: "fraud_job_last_exit_code" in (keeper.get("/metrics") or httpx.Response(0)).text)
    until(lambda: keeper.is_ready)


def test_jobs_wait_for_another_schedule(site: Site) -> None:
    """The keeper serves on beside `fraud schedule` and says once that it waits; then it runs the jobs."""
    with lock(StatePaths(site.root, site.root / "model_store")):
        keeper = with_a_job(site, "")
        until(lambda: "the jobs do not run yet: a schedule runs" in keeper.message)
        until(lambda: keeper.is_ready)
    until(lambda: "backup ended with exit code 0" in keeper.message)
    assert keeper.message.count("the jobs do not run yet") == 1


SLOW_TO_END = """
import pathlib, signal, time
def end(*_):
    time.sleep(1)
    pathlib.Path("ended").touch()
    raise SystemExit(3)
signal.signal(signal.SIGTERM, end)
print("runs", flush=True)
time.sleep(60)
"""
ENDLESS = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("runs", flush=True)
time.sleep(60)
"""


def test_a_job_that_ends_with_the_keeper_has_time_to(site: Site) -> None:
    """What it does at SIGTERM is done to its end, and its outcome is written down."""
    keeper = with_a_job(site, SLOW_TO_END)
    until(lambda: "backup: runs" in keeper.message)
    keeper.process.send_signal(signal.SIGTERM)
    assert keeper.process.wait(WAIT_SECONDS) == 0
    assert (site.root / "ended").exists()
    assert "} 3.0" in (site.root / "var" / "jobs" / "backup.prom").read_text()


@pytest.mark.parametrize("signals", [1, 2])
def test_a_job_that_does_not_end_is_killed(site: Site, signals: int) -> None:
    """Before a container would be killed with it; at a second signal, at once."""
    keeper = with_a_job(site, ENDLESS)
    until(lambda: "backup: runs" in keeper.message)
    began = time.monotonic()
    for number in range(signals):
        until(lambda number=number: time.monotonic() - began > number)  # type: ignore[misc] # a second is no echo
        keeper.process.send_signal(signal.SIGTERM)
    assert keeper.process.wait(WAIT_SECONDS) == 0
    assert signals == 1 or time.monotonic() - began < KILL_SECONDS

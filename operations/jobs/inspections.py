"""What `fraud check` looks at, and what it finds: the service, what must last, and the scheduled jobs."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

import httpx
from redis.exceptions import RedisError

from environment.bounded_transport import BoundedTransport
from environment.redis_client import connect
from operations.backups import backup, storage
from operations.errors import OperationsError
from operations.files.durable import LockHeld
from operations.jobs import outcome, schedule
from operations.jobs.crontab import Job
from operations.jobs.runner import refuse_if_running
from operations.jobs.schedule import ScheduleState, format_time
from operations.network import addresses
from operations.rollout.deployment import DeploymentTarget
from operations.settings import StatePaths, web_address
from operations.store import journal
from operations.store.registry import Registry
from operations.store.release_record import read_record
from operations.text import formatting
from operations.torchserve.client import TorchServeClient

RETRY_SECONDS = 10.0
"""Seconds in which a gateway follows a release, and TorchServe starts a worker again that ended."""
RETRY_INTERVAL = 0.5
TIMEOUT = 5.0
"""Seconds for one answer."""
LEAST_SHARE, LEAST_BYTES = 0.10, 1_000_000_000
"""Free room on a disk; less of either is a fault."""
OLDEST_BACKUP = timedelta(days=8)
"""A weekly backup may be a day late."""
MAX_LATENESS = timedelta(hours=1)
"""A job that is due may wait for the machine to wake, or for a node in a cluster."""
LONGEST = timedelta(days=1)
"""A job that takes longer hangs."""
ITSELF = "check"
"""Its own last outcome is not looked at: one fault would be one for ever."""


class CheckState(StrEnum):
    """How a thing is; the value is what its line begins with."""

    GOOD = "ok"
    FAULT = "FAULT"
    UNKNOWN = "not looked at:"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, or why it was not."""

    state: CheckState
    text: str

    def __str__(self) -> str:
        """Its line."""
        return f"{self.state} {self.text}"


def good(text: str) -> Finding:
    """All is well with it."""
    return Finding(CheckState.GOOD, text)


def fault(text: str) -> Finding:
    """A person must look at it."""
    return Finding(CheckState.FAULT, text)


def unknown(text: str) -> Finding:
    """It was not looked at, since it is not configured here or does not exist yet."""
    return Finding(CheckState.UNKNOWN, text)


def retry_fault(check: Callable[[], Finding], retry_seconds: float) -> Finding:
    """Repeats a check while it finds a fault, for at most `retry_seconds`."""
    until = time.monotonic() + retry_seconds
    while (finding := check()).state is CheckState.FAULT and time.monotonic() < until:
        time.sleep(RETRY_INTERVAL)
    return finding


def gateways(url: str | None, store: Path, retry_seconds: float = RETRY_SECONDS) -> Iterator[Finding]:
    """Whether each gateway behind a URL can score, and serves the version that the record names.

    Args:
        url: a name in it may stand for several gateways; None where none is known here.
        store: with the release record.
        retry_seconds: seconds in which a fault may go away by itself.

    Yields:
        One finding for each address.

    Raises:
        OperationsError: the name stands for none, or the record cannot be read.
    """
    if not url:
        yield unknown("the gateways (GATEWAY_URL is not set)")
        return
    for each in addresses.resolve_url(web_address("GATEWAY_URL", url)):
        yield retry_fault(partial(_gateway, each, store), retry_seconds)


def model_servers(
    running: DeploymentTarget | None, store: Path, retry_seconds: float = RETRY_SECONDS
) -> Iterator[Finding]:
    """Whether the live version has all its workers on each model server.

    Raises:
        OperationsError: the record cannot be read.
    """
    if not running:
        yield unknown("the model server (MANAGEMENT_URL is not set, and no stack runs here)")
        return
    for server in (running.server, *running.others):
        where = f" on {server.address}" if running.others else ""
        yield retry_fault(partial(_workers, server, where, store), retry_seconds)


def redis(url: str | None) -> Finding:
    """Whether Redis answers; its address may hold a password and is not shown."""
    if not url:
        return unknown("Redis (REDIS_URL is not set)")
    try:
        with connect(url, TIMEOUT) as client:
            client.ping()
    except (RedisError, OSError, ValueError) as error:
        return fault(f"Redis does not answer ({type(error).__name__})")
    return good("Redis answers")


def _gateway(url: str, store: Path) -> Finding:
    record, name = read_record(store), f"gateway {httpx.URL(url).netloc.decode()}"
    try:
        with httpx.Client(base_url=url, transport=BoundedTransport(), timeout=TIMEOUT, trust_env=False) as client:
            ready = client.get("/readyz").status_code
            version = client.get("/health").json()["components"]["model"]["version"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return fault(f"{name} does not answer as a gateway does ({type(error).__name__})")
    if ready != httpx.codes.OK:
        return fault(f"{name} is not ready (/readyz answers {ready})")
    if record and version != record.version:
        return fault(f"{name} serves version {version}, and version {record.version} is live")
    return good(f"{name} is ready and serves version {version}")


def _workers(server: TorchServeClient, where: str, store: Path) -> Finding:
    record = read_record(store)
    if record is None:
        return unknown("the live version's workers (nothing is released yet)")
    live = f"version {record.version}, which is live,"
    try:
        registered = server.registered().get(record.version)
    except OperationsError as error:
        return fault(str(error))
    if registered is None:
        return fault(f"{live} is not loaded{where}")
    text = f"{registered.ready} of {registered.workers} workers of {live} are ready{where}"
    return good(text) if 0 < registered.workers == registered.ready else fault(text)


def archive(store: Path) -> Iterator[Finding]:
    """Whether the archive of the live version is the one that was registered, and whether it is the one released.

    Raises:
        OperationsError: the record cannot be read, or the archive is not sound.
    """
    record = read_record(store)
    if record is None:
        yield unknown("the live archive (nothing is released yet)")
        return
    if record.instead_of is not None:
        since = _takeover(store, record.version)
        yield fault(f"version {record.version} took over from version {record.instead_of}, which is released{since}")
    Registry(store).verify(record.version)
    yield good(f"the archive of version {record.version}, which is live, is whole")


def disks(paths: Sequence[Path]) -> Iterator[Finding]:
    """Whether there is room where something is written; a disk that holds several paths is checked once."""
    devices = set[int]()
    for path in paths:
        if not path.is_dir():
            yield unknown(f"the disk under {path} (there is no such directory)")
        elif (device := path.stat().st_dev) not in devices:
            devices.add(device)
            yield _disk(path)


def backups(paths: StatePaths, store: Path, env: Mapping[str, str], now: datetime) -> Finding:
    """Whether the newest backup is new enough; a store that is as young needs none yet.

    Raises:
        OperationsError: the place of the backups cannot be read.
    """
    place = env.get("BACKUP_TO") or str(paths.root / "var" / "backups")
    names = [name for name, _ in backup.list_backups(storage.storage_for(place))]
    if not names:
        oldest = oldest_version(store)
        is_due = oldest is not None and now.timestamp() - oldest > OLDEST_BACKUP.total_seconds()
        return fault(f"there is no backup in {place}") if is_due else unknown("the newest backup (none yet)")
    made = datetime.strptime(names[-1].removeprefix("fraud-backup-"), "%Y%m%d-%H%M%S-%f.tar").replace(tzinfo=UTC)
    text = f"the newest backup is {formatting.age(made.isoformat(), now)} old"
    return fault(f"{text}, in {place}") if now - made > OLDEST_BACKUP else good(text)


def _disk(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    text = f"{usage.free / 1e9:.1f} GB ({usage.free / usage.total:.0%}) of the disk under {path} are free"
    return fault(text) if usage.free < max(LEAST_BYTES, LEAST_SHARE * usage.total) else good(text)


def _takeover(store: Path, version: int) -> str:
    """When it took over, as far as the journal has it."""
    events = [each for each in journal.events(store) if each["event"] == "took_over" and each.get("version") == version]
    return f", at {events[-1]['at']}" if events else ""


def jobs(scheduled: Sequence[Job], paths: StatePaths, now: datetime, *, are_run_elsewhere: bool) -> Iterator[Finding]:
    """One finding for each job but `fraud check` itself.

    A job that never ran counts from when a schedule first had it here. Where something else runs the jobs (Kubernetes)
    it counts from the oldest version: before that there was nothing to do. Elsewhere nobody expects it.
    """
    state = schedule.load_state(paths)
    begin = oldest_version(paths.store) if are_run_elsewhere and not state else None
    for job in scheduled:
        if job.name != ITSELF:
            yield _running(job, paths, now) or _ended(job, paths, state, begin, now)


def oldest_version(store: Path) -> float | None:
    """When the oldest version was trained, in seconds since 1970; None where there is none with such a time."""
    created = [entry.created for entry in Registry(store).entries()]
    return min((moment for text in created if (moment := _seconds(text)) is not None), default=None)


def _running(job: Job, paths: StatePaths, now: datetime) -> Finding | None:
    """How a job does that runs at the moment; its lock was written when it began."""
    try:
        refuse_if_running(job, paths)
    except LockHeld:
        began = datetime.fromtimestamp(outcome.lock(paths, job.name).stat().st_mtime, UTC)
        text = f"fraud {job.name} runs since {format_time(began)}"
        return fault(text) if now - began > LONGEST else good(text)
    return None


def _ended(job: Job, paths: StatePaths, state: ScheduleState | None, begin: float | None, now: datetime) -> Finding:
    last, missed = outcome.last_outcome(paths, job.name), job.previous_time(now - MAX_LATENESS)
    since = last.ended if last else state.since.get(job.name) if state else begin
    if last and last.exit_code:
        return fault(f"fraud {job.name} failed with exit code {last.exit_code} at {format_time(_at(last.ended))}")
    if missed and since is not None and since < missed.timestamp() and not _is_starting_up(state, now):
        lately = f"not run since {format_time(_at(since))}" if last else "never run"
        return fault(f"fraud {job.name} has {lately}, and was due at {format_time(missed)}")
    return (
        good(f"fraud {job.name} ran at {format_time(_at(last.ended))}")
        if last
        else unknown(f"fraud {job.name} (no run yet)")
    )


def _is_starting_up(state: ScheduleState | None, now: datetime) -> bool:
    """Whether a schedule has begun here a moment ago: it makes up for what was missed before."""
    return state is not None and now - _at(state.began) < MAX_LATENESS


def _seconds(text: str) -> float | None:
    """A time as an entry has it, in UTC where it says nothing else; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

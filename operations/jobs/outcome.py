"""What became of each job: a file of metrics, an exit code, and an alert where it failed.

    var/jobs/backup.prom    the outcome of its last run, in Prometheus' text format
    var/jobs/backup.lock    held while it runs, by whoever started it

A directory of such files is what node_exporter's textfile collector reads; the keeper's /metrics merges them. What
cannot be written is left out: a job is not failed by a full disk that it did not need.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from environment import secret_files
from environment.secret_files import SecretFileError
from operations.errors import OperationsError
from operations.files import durable, permissions
from operations.files.durable import LockHeld
from operations.network.alerts import Alerts
from operations.settings import StatePaths

ALREADY_RUNNING = os.EX_TEMPFAIL
"""Exit code of a command that did nothing, since the same job runs already: 75. It is no outcome of the job."""
INTERRUPTED, KILLED = 130, 128
METRICS = {
    "ended": ("fraud_job_last_run_timestamp_seconds", "When the job last ended, in seconds since 1970."),
    "exit_code": ("fraud_job_last_exit_code", "How the job last ended: 0 is success, 128 + n the end by signal n."),
    "duration": ("fraud_job_last_duration_seconds", "How long the job last took."),
    "succeeded": (
        "fraud_job_last_success_timestamp_seconds",
        "When the job last ended with success, in seconds since 1970.",
    ),
}
"""The metric of each field of an outcome, and what it means."""
MAX_TIMESTAMP = 253_402_300_799
"""Seconds from 1970 until the last year that a calendar has; a larger number is damage."""
LABEL = "job_name"
"""Not `job`: Prometheus itself gives each scraped sample a label of that name."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """The last run of a job.

    Attributes:
        ended: when, in seconds since 1970.
        duration: in seconds.
        succeeded: when it last ended with exit code 0, in seconds since 1970; None where it never did.
    """

    ended: float
    exit_code: int
    duration: float
    succeeded: float | None


def prepare(paths: StatePaths) -> None:
    """Makes that directory, which others may read, in one that they may pass through."""
    paths.jobs.mkdir(parents=True, exist_ok=True)
    for place, mode in ((paths.jobs.parent, permissions.PASSED_THROUGH), (paths.jobs, permissions.READ_BY_ALL)):
        with contextlib.suppress(PermissionError):  # A volume's own directory may belong to others.
            place.chmod(mode)


def lock(paths: StatePaths, job: str) -> Path:
    """The file that is locked while a job runs."""
    return paths.jobs / f"{job}.lock"


def last_outcome(paths: StatePaths, job: str) -> JobOutcome | None:
    """The last run of a job; None where it has not run, or its file is damaged."""
    return _read(_file(paths, job), job)


def record_outcome(paths: StatePaths, job: str, exit_code: int, duration: float) -> None:
    """Writes down how a job has just ended; never raises for trouble with the disk."""
    now = time.time()
    before = last_outcome(paths, job)
    succeeded = now if exit_code == 0 else before.succeeded if before else None
    with contextlib.suppress(OSError):
        prepare(paths)
        durable.write(_file(paths, job), _text({job: JobOutcome(now, exit_code, duration, succeeded)}), 0o644)


def metrics_text(paths: StatePaths) -> bytes:
    """The outcomes of all jobs as one text in Prometheus' format; a damaged file is left out."""
    files = sorted(paths.jobs.glob("*.prom"))
    return _text({file.stem: outcome for file in files if (outcome := _read(file, file.stem))})


@contextmanager
def record_job(paths: StatePaths, job: str) -> Iterator[None]:
    """Around a command: holds the job's lock, writes down its outcome, and posts an alert where it failed.

    The command's own end is not changed by it, whether an exception, an exit code or neither. An interruption from the
    keyboard is an outcome too, but no alert: whoever pressed the key knows.

    Raises:
        SystemExit: with exit code 75, since the job runs already; nothing is done then, and nothing written down.
    """
    with _hold_lock(paths, job):
        began = time.monotonic()
        try:
            yield
        except BaseException as error:
            code = _exit_code(error)
            record_outcome(paths, job, code, time.monotonic() - began)
            if code and not isinstance(error, KeyboardInterrupt):
                send_alert(f"fraud {job} failed: {_reason(error, code)}", os.environ)
            raise
        record_outcome(paths, job, 0, time.monotonic() - began)


def send_alert(text: str, env: Mapping[str, str]) -> None:
    """Posts an alert to ALERT_URL, if that is set, and waits for it: the command ends now. Failures are said."""
    try:
        url = secret_files.environment(env).get("ALERT_URL")
    except SecretFileError as error:
        _print_error(str(error))
        return
    if url:
        alerts = Alerts(url, lambda line: None if line == text else _print_error(line))
        alerts(text)
        alerts.wait()


@contextmanager
def _hold_lock(paths: StatePaths, job: str) -> Iterator[None]:
    """Holds the job's lock; where no lock can be had, on a full disk say, the job runs all the same."""
    with contextlib.ExitStack() as locks:
        try:
            prepare(paths)
            locks.enter_context(durable.locked(lock(paths, job), f"fraud {job} runs already"))
        except LockHeld as busy:
            _print_error(f"error: {busy}")
            raise SystemExit(ALREADY_RUNNING) from None
        except (OperationsError, OSError) as error:
            _print_error(f"the job runs without a lock: {error}")
        yield


def _exit_code(error: BaseException) -> int:
    """What the process ends with for an exception; the command line's own exceptions say it themselves."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    code = error.code if isinstance(error, SystemExit) else getattr(error, "exit_code", 1)
    return code if isinstance(code, int) else 0 if code is None else 1


def _reason(error: BaseException, code: int) -> str:
    """Why, in one line: our own errors say it in words without values, others by their class alone."""
    if isinstance(error, OperationsError):
        return str(error)
    if code > KILLED:
        return f"it was ended by signal {code - KILLED}"
    return f"exit code {code}" if isinstance(error, SystemExit) else f"exit code {code} ({type(error).__name__})"


def _print_error(text: str) -> None:
    """Says it on the error output, which may be gone."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def _file(paths: StatePaths, job: str) -> Path:
    return paths.jobs / f"{job}.prom"


def _text(outcomes: Mapping[str, JobOutcome]) -> bytes:
    """All outcomes with one # HELP and # TYPE for each metric."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    for field, (name, help_text) in METRICS.items():
        gauge = Gauge(name, help_text, [LABEL], registry=registry)
        for job, outcome in outcomes.items():
            if (value := getattr(outcome, field)) is not None:
                gauge.labels(job).set(value)
    return generate_latest(registry)


def _read(file: Path, job: str) -> JobOutcome | None:
    """The outcome in a file, if it is whole and that job's."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(file.read_text(encoding="utf-8")))
        samples = [sample for family in families for sample in family.samples if sample.labels == {LABEL: job}]
        samples_by_name = {sample.name: sample.value for sample in samples if math.isfinite(sample.value)}
        ended, code, duration, succeeded = (samples_by_name.get(name) for name, _ in METRICS.values())
    except (OSError, ValueError, KeyError, IndexError, TypeError):  # The parser raises these where it is no such text.
        return None
    if ended is None or code is None or duration is None or not 0 <= ended <= MAX_TIMESTAMP:
        return None
    return JobOutcome(ended, int(code), duration, succeeded)

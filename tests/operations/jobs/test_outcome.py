"""What is written down of a job, and who is told."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from operations.errors import OperationsError
from operations.files import durable
from operations.jobs import outcome
from operations.jobs.outcome import JobOutcome, record_job
from operations.settings import StatePaths
from tests.operations.jobs.receiver import Receiver
from tests.timeouts import WAIT_SECONDS


def samples(paths: StatePaths) -> dict[tuple[str, str], float]:
    """The exposition, by metric and job."""
    families = text_string_to_metric_families(outcome.metrics_text(paths).decode())
    return {(each.name, each.labels["job_name"]): each.value for family in families for each in family.samples}


def test_a_success_is_written_down(paths: StatePaths) -> None:
    """When it ended, how long it took, and that it did well."""
    began = time.time()
    with record_job(paths, "backup"):
        pass
    last_outcome = outcome.last_outcome(paths, "backup")
    assert last_outcome is not None
    assert last_outcome.exit_code == 0
    assert began <= last_outcome.ended <= time.time()
    assert 0 <= last_outcome.duration < 60
    assert last_outcome.succeeded == last_outcome.ended


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationsError("no"), 1),
        (OSError(28, "No space left on device"), 1),
        (ZeroDivisionError(), 1),
        (KeyboardInterrupt(), 130),
        (SystemExit(143), 143),
        (SystemExit(2), 2),
        (SystemExit("text"), 1),
        (SystemExit(None), 0),
        (SystemExit(0), 0),
        (typer.Exit(3), 3),
        (typer.Exit(), 0),
        (typer.Abort(), 1),
    ],
)
def test_each_end_is_written_down_and_goes_on(paths: StatePaths, error: BaseException, code: int) -> None:
    """The exception is raised as it was, and its exit code is the one that the process will end with."""
    with pytest.raises(type(error)) as raised, record_job(paths, "backup"):
        raise error
    assert raised.value is error
    last_outcome = outcome.last_outcome(paths, "backup")
    assert last_outcome is not None
    assert last_outcome.exit_code == code


def test_the_last_success_stays_over_failures(paths: StatePaths) -> None:
    """A failure changes all but the time of the last success."""
    outcome.record_outcome(paths, "backup", 0, 1.0)
    good = outcome.last_outcome(paths, "backup")
    outcome.record_outcome(paths, "backup", 1, 2.0)
    outcome.record_outcome(paths, "backup", 2, 3.0)
    bad = outcome.last_outcome(paths, "backup")
    assert good is not None
    assert bad is not None
    assert (bad.exit_code, bad.duration, bad.succeeded) == (2, 3.0, good.succeeded)


def test_a_job_that_never_did_well_has_no_such_time(paths: StatePaths) -> None:
    """The metric of the last success is not there until there is one."""
    outcome.record_outcome(paths, "backup", 1, 1.0)
    assert ("fraud_job_last_success_timestamp_seconds", "backup") not in samples(paths)
    assert samples(paths)["fraud_job_last_exit_code", "backup"] == 1


def test_a_file_is_what_node_exporter_reads(paths: StatePaths) -> None:
    """A whole exposition for itself, which everybody may read."""
    outcome.record_outcome(paths, "backup", 0, 1.5)
    file = paths.root / "var" / "jobs" / "backup.prom"
    assert file.stat().st_mode & 0o777 == 0o644
    lines = file.read_text().splitlines()
    assert 'fraud_job_last_duration_seconds{job_name="backup"} 1.5' in lines
    assert "# TYPE fraud_job_last_exit_code gauge" in lines


def test_several_files_are_one_exposition(paths: StatePaths) -> None:
    """Each metric is described once, however many jobs have it."""
    for job in ("backup", "clean", "check"):
        outcome.record_outcome(paths, job, 0, 1.0)
    text = outcome.metrics_text(paths).decode()
    assert text.count("# TYPE fraud_job_last_exit_code gauge") == 1
    assert {job for _, job in samples(paths)} == {"backup", "clean", "check"}


def test_without_jobs_the_exposition_is_valid(paths: StatePaths) -> None:
    """A directory in which nothing ran has metrics without samples."""
    assert samples(paths) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"fraud_job_last_exit_code{",
        b'fraud_job_last_exit_code{job_name="clean"} 0\n',
        b'fraud_job_last_run_timestamp_seconds{job_name="backup"} NaN\n',
        b'fraud_job_last_run_timestamp_seconds{job_name="backup"} 1e300\n'
        b'fraud_job_last_exit_code{job_name="backup"} 0\nfraud_job_last_duration_seconds{job_name="backup"} 1\n',
    ],
)
def test_a_damaged_file_is_left_out(paths: StatePaths, content: bytes) -> None:
    """It is no outcome, and does not spoil those of other jobs; the next run replaces it."""
    outcome.record_outcome(paths, "clean", 0, 1.0)
    (paths.root / "var" / "jobs" / "backup.prom").write_bytes(content)
    assert outcome.last_outcome(paths, "backup") is None
    assert {job for _, job in samples(paths)} == {"clean"}
    outcome.record_outcome(paths, "backup", 0, 1.0)
    assert outcome.last_outcome(paths, "backup") is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_outcome_or_none(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """No file can make the metrics fail."""
    root = tmp_path_factory.mktemp("any")
    paths = StatePaths(root, root / "model_store")
    paths.jobs.mkdir(parents=True)
    (paths.jobs / "backup.prom").write_bytes(content)
    assert outcome.last_outcome(paths, "backup") is None
    assert samples(paths) == {}


@given(
    st.floats(0, 1e11), st.integers(0, 255), st.floats(0, 1e6), st.none() | st.floats(0, 1e11)
)  # fmt: skip
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, ended: float, code: int, duration: float, succeeded: float | None
) -> None:
    """An outcome comes back as it was."""
    file = tmp_path_factory.mktemp("written") / "check.prom"
    written = JobOutcome(ended, code, duration, succeeded)
    file.write_bytes(outcome._text({"check": written}))
    assert outcome._read(file, "check") == written


def test_the_same_job_does_not_run_twice(paths: StatePaths, capsys: pytest.CaptureFixture[str]) -> None:
    """The second ends with 75 before it does anything, and is no outcome of the job."""
    did = list[str]()
    paths.jobs.mkdir(parents=True)
    with (
        durable.locked(outcome.lock(paths, "backup"), ""),
        pytest.raises(SystemExit) as ended,
        record_job(paths, "backup"),
    ):
        did.append("something")
    assert (ended.value.code, did, outcome.last_outcome(paths, "backup")) == (75, [], None)
    assert capsys.readouterr().err.startswith("error: fraud backup runs already")


def test_a_failure_is_one_alert_with_its_reason(paths: StatePaths, receiver: Receiver) -> None:
    """The receiver has it before the command ends; what is told is the error's own line."""
    with pytest.raises(OperationsError), record_job(paths, "backup"):
        raise OperationsError("version 2 is damaged")
    assert receiver.posted == [{"text": "fraud backup failed: version 2 is damaged"}]


def test_a_success_is_no_alert(paths: StatePaths, receiver: Receiver) -> None:
    """Nobody is told of what went well."""
    with record_job(paths, "backup"):
        pass
    assert receiver.posted == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("4111111111111111"), "exit code 1 (ValueError)"),
        (SystemExit(143), "it was ended by signal 15"),
        (SystemExit(3), "exit code 3"),
    ],
)
def test_an_alert_holds_no_value(paths: StatePaths, receiver: Receiver, error: BaseException, reason: str) -> None:
    """What is no error for people is told by its class or code alone."""
    with pytest.raises(type(error)), record_job(paths, "backup"):
        raise error
    assert receiver.posted == [{"text": f"fraud backup failed: {reason}"}]


def test_an_interruption_by_hand_is_no_alert(paths: StatePaths, receiver: Receiver) -> None:
    """Whoever pressed the key knows."""
    with pytest.raises(KeyboardInterrupt), record_job(paths, "backup"):
        raise KeyboardInterrupt
    assert receiver.posted == []


def test_the_address_of_alerts_may_be_in_a_file(
    paths: StatePaths, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALERT_URL_FILE stands for ALERT_URL."""
    file = paths.root / "alert_url"
    file.write_text(f"{receiver.url}\n")
    monkeypatch.delenv("ALERT_URL")
    monkeypatch.setenv("ALERT_URL_FILE", str(file))
    with pytest.raises(OperationsError), record_job(paths, "backup"):
        raise OperationsError("no")
    assert len(receiver.posted) == 1


@pytest.mark.parametrize("setting", ["ALERT_URL", "ALERT_URL_FILE"])
def test_an_alert_that_fails_changes_nothing(
    paths: StatePaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    """The job ends as it ended, and the address is shown nowhere."""
    monkeypatch.setenv(setting, "/nowhere/s3cret")
    with pytest.raises(OperationsError, match=r"^no$"), record_job(paths, "backup"):
        raise OperationsError("no")
    output = capsys.readouterr().err
    assert "ALERT_URL" in output
    assert "s3cret" not in output


FULL = """
import resource, sys
from pathlib import Path
from operations.jobs.outcome import record_job
from operations.settings import StatePaths
root = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # Each write fails, as on a full disk.
with record_job(StatePaths(root, root / "model_store"), "clean"):
    print("did its work", flush=True)
    sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_full_disk_does_not_change_the_exit_code(paths: StatePaths, code: int) -> None:
    """The job runs and ends as it would; no part of a file is left."""
    command = [sys.executable, "-c", FULL, str(paths.root), str(code)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)
    assert (ended.returncode, ended.stdout) == (code, "did its work\n"), ended.stderr
    assert not list(paths.jobs.glob("*.prom*"))
    assert not [path for path in paths.jobs.iterdir() if path.name.startswith(".")]


def test_a_directory_that_cannot_be_made_does_not_stop_a_job(paths: StatePaths) -> None:
    """Where var is no directory, nothing is written down."""
    (paths.root / "var").touch()
    with record_job(paths, "clean"):
        pass
    assert outcome.last_outcome(paths, "clean") is None


def test_outcomes_have_their_place(paths: StatePaths) -> None:
    """var/jobs of the directory that the command runs in."""
    assert paths.jobs == Path(paths.root, "var", "jobs")

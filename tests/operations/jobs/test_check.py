"""`fraud check` as a whole."""

import json

import pytest

from operations.jobs import outcome
from operations.jobs.check import FaultsFound, check
from operations.jobs.outcome import record_job
from operations.settings import StatePaths
from operations.store.registry import Registry
from releases.record import Release
from tests.operations.conftest import add
from tests.operations.jobs.receiver import Receiver

NOWHERE = "http://127.0.0.1:1"


def output(paths: StatePaths, **env: str) -> tuple[list[str], str]:
    """All lines, and the error's text; empty where there was none."""
    message = list[str]()
    try:
        check(paths, env, message.append, retry_seconds=0)
    except FaultsFound as faults:
        return message, str(faults)
    return message, ""


def test_an_empty_directory_has_no_faults_of_its_own(paths: StatePaths) -> None:
    """What is not configured or not there yet is said line by line, and is no fault."""
    message, faults = output(paths)
    assert faults == ""
    assert len(message) >= 8
    assert all(line.startswith(("ok ", "not looked at: ")) for line in message)


def test_all_faults_are_one_error(paths: StatePaths) -> None:
    """Each has its line, and the error holds them all: it is the alert."""
    add(Registry(paths.store), paths.root, 1)
    (paths.store / "release.json").write_bytes(Release(1, None, "2026-01-01T00:00:00+00:00").to_bytes())
    (paths.store / "fraud-1.mar").write_bytes(b"other")
    outcome.record_outcome(paths, "backup", 2, 1.0)
    for job in ("retrain", "clean"):
        outcome.record_outcome(paths, job, 0, 1.0)
    message, faults = output(paths, GATEWAY_URL=NOWHERE, REDIS_URL="redis://:s3cret@127.0.0.1:1")
    bad = [line.removeprefix("FAULT ") for line in message if line.startswith("FAULT ")]
    assert len(bad) == 5
    assert faults == f"5 faults: {'; '.join(bad)}"
    assert "s3cret" not in faults


def test_one_fault_is_counted_as_one(paths: StatePaths) -> None:
    """Singular."""
    assert output(paths, REDIS_URL="redis://127.0.0.1:1")[1] == "1 fault: Redis does not answer (ConnectionError)"


def test_a_damaged_record_is_a_fault_and_ends_no_other_look(paths: StatePaths) -> None:
    """All that needs the record says so, and the rest is looked at."""
    paths.store.mkdir()
    (paths.store / "release.json").write_bytes(b"{")
    message, faults = output(paths)
    assert "release.json is damaged" in faults
    assert any("the newest backup" in line for line in message)


def test_a_schedule_that_cannot_be_read_is_a_fault(paths: StatePaths) -> None:
    """With the line of the file."""
    (paths.root / "mine").write_text("* * * * * reboot\n")
    assert "mine, line 1" in output(paths, SCHEDULE="mine")[1]


def test_a_stack_that_was_killed_is_a_fault(paths: StatePaths) -> None:
    """Its addresses are there and nobody answers."""
    paths.prepare()
    (paths.store / "release.json").write_bytes(Release(1, None, "2026-01-01T00:00:00+00:00").to_bytes())
    fields = {"gateway_url": NOWHERE, "management_url": NOWHERE, "inference_url": NOWHERE, "redis_url": None}
    paths.stack.write_text(json.dumps(fields | {"store": str(paths.store)}))
    message, _ = output(paths)
    assert message[0] == "FAULT gateway 127.0.0.1:1 does not answer as a gateway does (ConnectError)"
    assert message[1].startswith("FAULT TorchServe does not answer")


def test_a_server_that_cannot_be_found_is_a_fault(paths: StatePaths) -> None:
    """MANAGEMENT_URL is set, so the model server is configured; that it cannot be used is told."""
    env = {
        "MANAGEMENT_URL": "http://no.such.name.invalid:8081",
        "INFERENCE_URL": "http://no.such.name.invalid:8080",
    }
    assert output(paths, **env)[1].startswith(("1 fault:", "2 faults:"))


def test_a_failed_check_is_one_alert(paths: StatePaths, receiver: Receiver) -> None:
    """All faults in one text."""
    with pytest.raises(FaultsFound), record_job(paths, "check"):
        check(paths, {"REDIS_URL": "redis://127.0.0.1:1"}, lambda _: None, retry_seconds=0)
    assert receiver.posted == [{"text": "fraud check failed: 1 fault: Redis does not answer (ConnectionError)"}]

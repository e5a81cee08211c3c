"""A version on trial beside the live one, on the real TorchServe and Valkey."""

import csv
import io
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from releases.record import FILE_NAME, Release
from tests.system.conftest import Stack, Traffic, live_version, release, wait_for
from tests.system.test_rollout import Claims, claims

__all__ = ["claims"]  # a fixture

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

ROWS = 40


@pytest.fixture
def union(sample: bytes, claims: Claims) -> list[dict[str, str]]:
    """Rows with the columns of both versions."""
    payments = list(csv.DictReader(io.StringIO(sample.decode())))[:ROWS]
    filed = list(csv.DictReader(io.StringIO(claims.csv.decode())))[:ROWS]
    return [payment | claim for payment, claim in zip(payments, filed, strict=True)]


@pytest.fixture
def attempt(stack: Stack) -> Iterator[Stack]:
    """A stack whose trial, if a test leaves one, is ended."""
    yield stack
    if recorded(stack).trial:
        stack.fraud("release", "--abort")


def recorded(stack: Stack) -> Release:
    """The release record."""
    return Release.from_bytes((stack.directory / "model_store" / FILE_NAME).read_bytes())


def text(rows: list[dict[str, str]], columns: set[str] | None = None) -> bytes:
    """Rows as a CSV file, with some of their columns or with all."""
    names = [name for name in rows[0] if columns is None or name in columns]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def scored(stack: Stack, body: bytes) -> list[dict[str, Any]]:
    """The predictions of a file."""
    answer = stack.upload(body)
    assert answer.is_success, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def columns(stack: Stack) -> set[str]:
    """What the live version reads."""
    return {column["name"] for column in stack.client.get("/v1/contract").json()["columns"]}


def test_a_canary_with_other_columns_is_scored_by_its_own_contract(
    attempt: Stack, union: list[dict[str, str]], claims: Claims
) -> None:
    """Each row of a file with the columns of both has the score of its version alone; cards keep to a side."""
    right = {1: scored(attempt, text(union, columns(attempt)))}
    release(attempt, claims.version)
    right[claims.version] = scored(attempt, text(union, columns(attempt)))
    release(attempt, 1)
    attempt.fraud("release", str(claims.version), "--canary", "50%")
    found = scored(attempt, text(union))
    assert {row["model_version"] for row in found} == {1, claims.version}
    for row, first, second in zip(found, right[1], right[claims.version], strict=True):
        alone = first if row["model_version"] == 1 else second
        assert row["fraud_probability"] == pytest.approx(alone["fraud_probability"], abs=1e-6)
        assert (row["decision"], row["id"]) == (alone["decision"], first["id"])
    again = scored(attempt, text(union[::-1]))[::-1]
    assert [row["model_version"] for row in again] == [row["model_version"] for row in found]


def test_callers_of_the_live_version_notice_nothing(attempt: Stack, sample: bytes, claims: Claims) -> None:
    """A file with the live version's columns alone is scored by it; the status counts what the canary cannot read."""
    attempt.fraud("release", str(claims.version), "--canary", "50%")
    answer = attempt.upload(sample).json()
    assert {row["model_version"] for row in answer["predictions"]} == {1}
    wait_for(lambda: f"transactions lack what version {claims.version} reads" in attempt.fraud("release", "status"))


def test_a_shadow_is_compared_and_promoted(attempt: Stack, union: list[dict[str, str]], claims: Claims) -> None:
    """It never answers; the status compares decisions; promoted, it is live, and the rollback takes it back."""
    attempt.fraud("release", str(claims.version), "--shadow")
    assert {row["model_version"] for row in scored(attempt, text(union))} == {1}
    wait_for(lambda: f"of {ROWS} scored by both" in attempt.fraud("release", "status"))
    attempt.fraud("release", "--promote", "--accept-shift")
    assert live_version(attempt) == claims.version
    assert {row["model_version"] for row in scored(attempt, text(union))} == {claims.version}
    attempt.fraud("rollback")
    assert live_version(attempt) == 1


@contextmanager
def frozen(stack: Stack, version: int) -> Iterator[None]:
    """The workers of a version stand still while the block runs."""
    management = json.loads((stack.directory / "var" / "run" / "stack.json").read_text())["management_url"]
    (described,) = httpx.get(f"{management}/models/fraud/{version}", trust_env=False).json()
    workers = [worker["pid"] for worker in described["workers"]]
    try:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_canary_that_hangs_is_aborted_and_nobody_notices(
    attempt: Stack, union: list[dict[str, str]], claims: Claims
) -> None:
    """With its workers frozen under load, each request is answered in time, and the trial ends by itself."""
    attempt.fraud("release", str(claims.version), "--canary", "50%")
    with Traffic(attempt, text(union)) as traffic:
        wait_for(lambda: len(traffic.answers) > 10)
        with frozen(attempt, claims.version):
            wait_for(lambda: recorded(attempt).trial is None, explain=lambda: attempt.fraud("release", "status"))
    assert {status for status, _ in traffic.answers} == {200}
    events = [
        json.loads(line) for line in (attempt.directory / "model_store" / "journal.jsonl").read_text().splitlines()
    ]
    assert "requests to it failed" in next(event["why"] for event in events[::-1] if event["event"] == "trial_aborted")
    assert live_version(attempt) == 1

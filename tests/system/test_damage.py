"""The live archive is damaged while it serves."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.load import NO_ANSWER, OK, Load, failed
from tests.system.conftest import IN_FLIGHT, Stack, Twin, find, jvm, release, wait_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

RATE = 20
HONEST = {NO_ANSWER, 503, 504}


def test_a_damaged_live_archive_is_replaced_when_it_must_be_loaded(stack: Stack, twin: Twin) -> None:
    """It serves on while it is loaded; after the JVM was killed the older version takes over, and everybody says so."""
    release(stack, twin.version)
    try:
        with _damaged(stack.directory / "model_store" / f"fraud-{twin.version}.mar"):
            with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
                wait_for(lambda: len(load.answers) > RATE)
                seen = len(load.answers)
                os.kill(find(stack, jvm)[0], signal.SIGKILL)
                wait_for(lambda: _takes_over(load), explain=lambda: stack.output.read_text()[-1000:])
            assert failed(load.answers[:seen]) == []
            _check_the_answers(load, twin)
            health = stack.client.get("/health").json()
            state = {"version": 1, "recorded_version": 1, "instead_of": twin.version}
            assert health["status"] == "degraded"
            assert state.items() <= health["components"]["model"].items()
            assert f"version 1 took over: version {twin.version}" in stack.output.read_text()
    finally:
        release(stack, twin.version)
        release(stack, 1)
    assert stack.client.get("/health").json()["status"] == "healthy"


def _takes_over(load: Load) -> bool:
    return all((each.status, each.version) == (OK, 1) for each in load.answers[-RATE:])


def _check_the_answers(load: Load, twin: Twin) -> None:
    """The damaged version until the kill, then nobody, then the one before it; each reply names who scored."""
    scored = [each for each in load.answers if each.status == OK]
    assert {each.status for each in load.answers} <= {OK, *HONEST}
    assert [each for each in scored if each.body["predictions"] != twin.right[each.body["model_version"]]] == []
    versions = [each.version for each in sorted(scored, key=lambda each: each.started)]
    assert versions == sorted(versions, key=lambda version: version == 1)


@contextmanager
def _damaged(archive: Path) -> Iterator[None]:
    """Flips one bit in the middle of a file, in place, and back again."""
    _flip(archive)
    try:
        yield
    finally:
        _flip(archive)


def _flip(archive: Path) -> None:
    with archive.open("r+b") as file:
        file.seek(archive.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))

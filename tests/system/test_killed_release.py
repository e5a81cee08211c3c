"""`fraud release` and `fraud rollback` killed with -9 at each of their steps, and at random moments."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import count

import pytest

from benchmarks.load import Load, failed
from operations.files import durable
from operations.rollout import deployment
from operations.settings import StatePaths
from releases.record import FILE_NAME, Release
from tests.system.conftest import IN_FLIGHT, Stack, Twin, live_version, release, wait_until_live

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

RATE = 20
RANDOM_KILLS = 8
A_COLD_RELEASE = 3.0
"""Seconds that one takes that must start workers; random moments are drawn from these."""


def test_a_release_killed_at_each_step_can_be_run_again(stack: Stack, twin: Twin) -> None:
    """Killed at each line that it prints: the old or the new version serves, and running it again finishes the job."""
    with _load(stack, twin):
        for step in count(1):
            _make_cold(stack, twin)
            if not _killed_at_line(stack.begin("release", str(twin.version)), step):
                break
            _check(stack, twin)
            stack.fraud("release", str(twin.version))
            assert (_check(stack, twin), live_version(stack)) == (twin.version, twin.version)
        assert _check(stack, twin) == twin.version
    assert step > 4, "it has a line for verifying, starting, proving and recording"


def test_a_release_killed_at_random_moments_can_be_run_again(stack: Stack, twin: Twin) -> None:
    """Eight kills, each in the ruins of the one before: the old or the new version serves, and the last run ends it."""
    draw = random.Random(8)  # noqa: S311 - moments
    with _load(stack, twin):
        _make_cold(stack, twin)
        for _ in range(RANDOM_KILLS):
            if live_version(stack) == twin.version:
                _make_cold(stack, twin)
            running = stack.begin("release", str(twin.version))
            time.sleep(draw.uniform(0, A_COLD_RELEASE))
            _kill(running)
            _check(stack, twin)
        stack.fraud("release", str(twin.version))
        assert (_check(stack, twin), live_version(stack)) == (twin.version, twin.version)


def test_a_rollback_killed_at_each_step_leaves_the_old_or_the_new(stack: Stack, twin: Twin) -> None:
    """Killed at each line: the old or the new version serves, and one that the record does not show is run again."""
    with _load(stack, twin):
        for step in count(1):
            release(stack, twin.version)
            if not _killed_at_line(stack.begin("rollback"), step):
                break
            _check(stack, twin)
            if _recorded(stack).version == twin.version:
                stack.fraud("rollback")
            wait_until_live(stack, 1)
            assert (_check(stack, twin), _recorded(stack).previous) == (1, twin.version)
        assert _check(stack, twin) == 1
    assert step > 2, "it has a line for proving and recording"


@contextmanager
def _load(stack: Stack, twin: Twin) -> Iterator[None]:
    """Uploads go on meanwhile; afterwards each must have been answered, by one of the two versions, and rightly."""
    with Load(stack.url, twin.csv, RATE, in_flight=IN_FLIGHT) as load:
        yield
    assert failed(load.answers) == []
    assert [each for each in load.answers if each.body["predictions"] != twin.right[each.body["model_version"]]] == []


def _check(stack: Stack, twin: Twin) -> int:
    """The version that scores now; its scores are right, and it is one of the two."""
    version, predictions = stack.predictions(twin.csv)
    assert predictions == twin.right[version]
    return version


def _killed_at_line(process: subprocess.Popen[str], number: int) -> bool:
    """Kills a command as soon as it has printed so many lines; False when it ended well before that."""
    assert process.stdout
    for seen, _ in enumerate(process.stdout, 1):
        if seen == number:
            _kill(process)
            return True
    assert process.wait() == 0
    process.stdout.close()
    return False


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill -9, if it still runs."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _make_cold(stack: Stack, twin: Twin) -> None:
    """Version 1 live and the twin not even loaded, as before its first release."""
    release(stack, 1)
    record = Release(1, None, datetime.now(UTC).isoformat(timespec="milliseconds"))
    durable.write(stack.directory / "model_store" / FILE_NAME, record.to_bytes())
    paths = StatePaths(stack.directory, stack.directory / "model_store")
    with closing(deployment.find_target(paths, {}).server) as server:
        server.delete(twin.version)


def _recorded(stack: Stack) -> Release:
    return Release.from_bytes((stack.directory / "model_store" / FILE_NAME).read_bytes())

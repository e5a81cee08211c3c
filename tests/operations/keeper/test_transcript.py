"""A job's output while it runs."""

import threading
from collections.abc import Callable

import pytest

from operations.files.durable import Busy
from operations.jobs.crontab import UnknownJob
from operations.keeper import transcript
from operations.keeper.transcript import Transcript


def test_lines_come_as_they_are_written() -> None:
    """The first is there while the job still runs, and the last is its exit code."""
    go = threading.Event()

    def run(job: str, write: Callable[[str], None]) -> int:
        write(f"{job} begins")
        assert go.wait(30)
        write("ends\n")
        return 3

    lines = iter(Transcript(run, "backup"))
    assert next(lines) == "backup begins"
    go.set()
    assert list(lines) == ["ends", "exit 3"]


def test_a_silent_job_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty line after each silence keeps the connection alive, before the first line too."""
    monkeypatch.setattr(transcript, "SILENCE", 0.01)
    monkeypatch.setattr(transcript, "AT_ONCE", 0.01)
    go = threading.Event()

    def run(_: str, write: Callable[[str], None]) -> int:
        assert go.wait(30)
        return 0

    lines = iter(Transcript(run, "backup"))
    assert [next(lines), next(lines)] == ["", ""]
    go.set()
    assert [line for line in lines if line] == ["exit 0"]


@pytest.mark.parametrize("refusal", [UnknownJob("no such job"), Busy("it runs")])
def test_a_refusal_is_raised(refusal: Exception) -> None:
    """What is refused before its first line never becomes a transcript."""

    def run(_: str, write: Callable[[str], None]) -> int:
        raise refusal

    with pytest.raises(type(refusal)):
        Transcript(run, "backup")


def test_a_failure_after_the_first_line_is_an_exit() -> None:
    """By then the answer has begun; the kind of the failure is told, and no more of it."""

    def run(_: str, write: Callable[[str], None]) -> int:
        write("begins")
        raise ValueError("a secret")

    told = ["begins", "the job could not be run to its end (ValueError)", "exit 1"]
    assert list(Transcript(run, "backup")) == told


def test_a_job_whose_reader_is_gone_runs_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody reads is left out, but the last line."""
    monkeypatch.setattr(transcript, "MOST_LINES", 3)
    ended = threading.Event()

    def run(_: str, write: Callable[[str], None]) -> int:
        for number in range(1000):
            write(str(number))
        ended.set()
        return 0

    unread = Transcript(run, "backup")
    assert ended.wait(30)
    assert list(unread) == ["2", "exit 0"]

"""The schedule's file: what a line means, and how one is refused."""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.jobs import crontab
from operations.jobs.crontab import BadCrontab, Job

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""


def read(directory: Path, text: str) -> tuple[Job, ...]:
    """The jobs in a file of this text."""
    file = directory / "crontab"
    file.write_text(text, encoding="utf-8")
    return crontab.read(file)


def test_the_schedule_that_is_shipped_can_be_read() -> None:
    """It has a weekly training and backup, an hourly check and a daily cleaning."""
    jobs = {job.name: job.when for job in crontab.read(crontab.DEFAULT)}
    assert jobs == {"retrain": "0 3 * * 0", "backup": "30 4 * * 0", "check": "7 * * * *", "clean": "45 2 * * *"}


def test_a_line_is_five_fields_and_a_command(tmp_path: Path) -> None:
    """Comments and empty lines say nothing; words may be quoted; a command may have options."""
    text = "# a comment\n\n  30 4 * * 0   fraud backup create --to '/mnt/the disk' # weekly\n"
    (job,) = read(tmp_path, text)
    assert (job.name, job.when) == ("backup", "30 4 * * 0")
    assert job.arguments == ("backup", "create", "--to", "/mnt/the disk")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("* * * * fraud backup", "five fields"),
        ("@daily fraud backup", "five fields"),
        ("* * * * *", "five fields"),
        ("* * * * * fraud", "five fields"),
        ("* * * * * # fraud backup", "five fields"),
        ("* * * * * * fraud backup", "five fields"),
        ("* * * * * rm -rf /", "five fields"),
        ("PATH=/bin", "five fields"),
        ("* * * * * fraud --version", "a command's name"),
        ("* * * * * fraud ''", "a command's name"),
        ("* * * * * fraud ../up", "a command's name"),
        ("* * * * * fraud schedule", "no job"),
        ("* * * * * fraud up", "no job"),
        ("* * * * * fraud check; true", "no shell"),
        ("* * * * * fraud backup --to $HOME", "no shell"),
        ("* * * * * fraud backup > /dev/null", "no shell"),
        ("* * * * * fraud backup --to a\x00b", "no shell"),
        ("* * * * * fraud backup --to 'a", "quotation mark"),
        ("60 * * * * fraud backup", "bad minute"),
        ("* * * * 8 fraud backup", "bad day-of-week"),
        ("0 0 30 2 * fraud backup", "bad day-of-month"),
        ("0 0 31 4,6 * fraud backup", "bad day-of-month"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, reason: str) -> None:
    """The error names the file, the line and what is wrong with it."""
    with pytest.raises(BadCrontab, match="line 3") as refused:
        read(tmp_path, f"# first\n0 1 * * * fraud clean\n{line}\n")
    assert reason in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_job_stands_in_one_line(tmp_path: Path) -> None:
    """A second line of the same command is refused: outcome and lock are under the name."""
    with pytest.raises(BadCrontab, match="line 2: clean is in line 1 already"):
        read(tmp_path, "0 1 * * * fraud clean\n0 2 * * * fraud clean --dry-run\n")


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    """A file that is not there or no text is an error for people."""
    file = tmp_path / "crontab"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadCrontab, match="the schedule"):
        crontab.read(file)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Nothing that a file may hold ends in anything but jobs or a BadCrontab."""
    file = tmp_path_factory.mktemp("any") / "crontab"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(BadCrontab):
        crontab.read(file)


FIELD = st.sampled_from(
    ["*", "0", "7", "1-5", "*/3", "2,4", "L", "1#2", "5L", "MON", "99", "-1", "*/0", "LW", "1/2", "²"]
)


@given(st.lists(FIELD, min_size=5, max_size=5))
def test_any_fields_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, fields: list[str]) -> None:
    """Whatever stands in the fields, the job that comes of it has a next time."""
    try:
        (job,) = read(tmp_path_factory.mktemp("fields"), f"{' '.join(fields)} fraud check")
    except BadCrontab:
        return
    assert job.next_time(NOON) is not None


@pytest.mark.parametrize(
    ("when", "previous_time", "next_time"),
    [
        ("0 3 * * 0", datetime(2026, 3, 1, 3, tzinfo=UTC), datetime(2026, 3, 8, 3, tzinfo=UTC)),
        ("0 3 * * 7", datetime(2026, 3, 1, 3, tzinfo=UTC), datetime(2026, 3, 8, 3, tzinfo=UTC)),
        ("0 12 * * *", NOON, NOON + timedelta(days=1)),
        ("7 * * * *", NOON - timedelta(minutes=53), NOON + timedelta(minutes=7)),
    ],
)
def test_times_are_utc(when: str, previous_time: datetime, next_time: datetime) -> None:
    """The last time is at or before a moment, the next one after it."""
    job = Job("check", when, ("check",))
    assert (job.previous_time(NOON), job.next_time(NOON)) == (previous_time, next_time)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_a_moment_lies_between_two_times(moment: datetime) -> None:
    """Between the last time and the next one of each job there is no other."""
    for job in crontab.read(crontab.DEFAULT):
        previous_time, next_time = job.previous_time(moment), job.next_time(moment)
        assert previous_time is not None
        assert next_time is not None
        assert previous_time <= moment < next_time
        assert job.next_time(previous_time) == next_time


def test_another_schedule_is_named_by_a_setting(tmp_path: Path) -> None:
    """SCHEDULE is a path, from the directory on that the command runs in; empty is as if it were not set."""
    assert crontab.schedule_file({"SCHEDULE": "mine"}, tmp_path) == tmp_path / "mine"
    assert crontab.schedule_file({"SCHEDULE": "/etc/fraud"}, tmp_path) == Path("/etc/fraud")
    assert crontab.schedule_file({"SCHEDULE": ""}, tmp_path) == crontab.DEFAULT

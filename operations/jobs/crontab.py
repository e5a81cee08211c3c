"""operations/crontab, the one schedule: which `fraud` command is due when.

    # minute hour day month weekday command, in UTC
    30 4 * * 0  fraud backup

Each line is one job, and its name is the command's first word. A line is split into words as a shell would, but no
shell runs: what would mean something to one is refused. Settings come from the environment of whoever runs the job.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cronsim import CronSim, CronSimError

from operations.errors import OperationsError, in_words

DEFAULT = Path(__file__).parents[1] / "crontab"
SCHEDULE = "SCHEDULE"
"""The setting that names another file."""
NAME = re.compile(r"[a-z]+(?:-[a-z]+)*")
NOT_JOBS = {"up", "keep", "schedule"}
"""Commands that do not end by themselves."""
SHELL = re.compile(r"[|&;<>()$`\\\x00-\x08\x0b-\x1f]")
FIELDS = 5
SECOND = timedelta(seconds=1)
SHAPE = "a line is five fields (minute hour day month weekday) and a command like `fraud backup`"


class BadCrontab(OperationsError):
    """The schedule cannot be used; the text names the line."""


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the schedule.

    Attributes:
        name: the command's first word.
        when: its five fields.
        arguments: all words of the command after `fraud`.
    """

    name: str
    when: str
    arguments: tuple[str, ...]

    def previous_time(self, moment: datetime) -> datetime | None:
        """Its last time at or before a moment (UTC); None where 50 years have none."""
        return next(CronSim(self.when, moment.replace(microsecond=0) + SECOND, reverse=True), None)

    def next_time(self, moment: datetime) -> datetime | None:
        """Its next time after a moment (UTC); None where 50 years have none."""
        return next(CronSim(self.when, moment), None)


def schedule_file(env: Mapping[str, str], root: Path) -> Path:
    """The file that SCHEDULE names, from this directory on; without it, the one that comes with the software."""
    named = env.get(SCHEDULE)
    return root / named if named else DEFAULT


def read(file: Path) -> tuple[Job, ...]:
    """The jobs of a schedule, in its order.

    Raises:
        BadCrontab: it cannot be read, or a line cannot be used.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadCrontab(f"the schedule cannot be read: {in_words(error)}") from None
    except UnicodeDecodeError:
        raise BadCrontab(f"the schedule {file} is no UTF-8 text") from None
    return tuple(_jobs(file, text))


def _jobs(file: Path, text: str) -> Iterator[Job]:
    lines = dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            job = _job(line)
            if job.name in lines:  # Outcome and lock of a job are under its name.
                where = f"{job.name} is in line {lines[job.name]} already"
                raise ValueError(f"{where}; join their times, like 0,30 or 1-5")  # noqa: TRY301 - as those of _job
        except ValueError as error:
            raise BadCrontab(f"{file}, line {number}: {error}") from None
        lines[job.name] = number
        yield job


def _job(line: str) -> Job:
    *fields, command = line.split(maxsplit=FIELDS)
    fraud, *arguments = _words(command)
    if len(fields) != FIELDS or fraud != "fraud" or not arguments:
        raise ValueError(SHAPE)
    if not NAME.fullmatch(arguments[0]):
        raise ValueError(f"after `fraud` comes a command's name, not {arguments[0]}")
    if arguments[0] in NOT_JOBS:
        raise ValueError(f"`fraud {arguments[0]}` is no job: it does not end by itself")
    when = " ".join(fields)
    _refuse_never_due(when)
    return Job(arguments[0], when, tuple(arguments))


def _words(command: str) -> list[str]:
    """The words of a command; one at least, which may be empty."""
    if SHELL.search(command):
        raise ValueError("it holds what only a shell understands, and no shell runs it; write one `fraud` command")
    try:
        return shlex.split(command, comments=True) or [""]
    except ValueError:
        raise ValueError("a quotation mark is not closed") from None


def _refuse_never_due(when: str) -> None:
    try:
        due = next(CronSim(when, datetime(2000, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise ValueError(f"{when} is no time: {str(error).lower()}") from None
    if due is None:
        raise ValueError(f"{when} is never due")

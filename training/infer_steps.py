"""Times that are numbers counting from some moment, and numbers that grow with the rows as times do.

A step has no unit in it. Its name tells one, or what repeats: there are more transactions by day than by night, so
steps of an hour have a rhythm of 24. Else a file of some weeks or months is taken for one of days. What was taken, and
why, stands in a comment that begins with CHECK.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.schema import TimeFormat
from contract.windows import DAY

STEP_NAME = re.compile(
    r"(^|[^a-z])(?P<unit>(time[ _.-]?)?step|tick|elapsed|hour|day)s?([ _.-]?(no|nr|num|number|index|idx|elapsed))?$",
    re.IGNORECASE,
)
CLOCK_NAME = re.compile(r"[a-z](DT|TS|Dt|Ts)$")
"""A delta or a stamp of time behind another word, as in TransactionDT."""
CYCLES = {"hour": (TimeFormat.HOURS, 23), "day": (TimeFormat.DAYS, 31)}
"""The unit that a name tells, and the largest number that could be one within a day or a month."""
HOURS_OF_A_DAY = 24
RHYTHM_DAYS = 3
"""Days that a rhythm must show in."""
RHYTHM = 3.0
"""How many times as much the hours of a day must differ among each other as one of them from day to day."""
SHORT, LONG = 48, 400
"""Steps between which a file is rather of days: below it would be a few weeks, above more than a year."""
SAMPLE_ROWS = 2000
TREND = 0.95
"""The rank correlation with the place in the file from which numbers grow with the rows."""


@dataclass(frozen=True, slots=True)
class Step:
    """The unit of a running time, and why it was taken for that."""

    form: TimeFormat
    reason: str

    @property
    def comment(self) -> str:
        """What the person who edits the schema must know."""
        other = TimeFormat.DAYS if self.form is TimeFormat.HOURS else TimeFormat.HOURS
        return (
            f"CHECK: taken for the {self.form} since some moment, {self.reason}; if they are {other}, "
            f'time_format = "{other}"; if it is no time, kind = "number"'
        )


def never_falls(numbers: NDArray[np.float64]) -> bool:
    """Whether numbers grow through the file, with as many rows of one number as there may be."""
    return bool((np.diff(numbers) >= 0).all() and numbers[-1] > numbers[0])


def is_running_clock(name: str, numbers: NDArray[np.float64]) -> bool:
    """Whether a column called like TransactionDT runs through more than a day of seconds."""
    return bool(CLOCK_NAME.search(name)) and never_falls(numbers) and bool(np.ptp(numbers) > DAY)


def step_of(name: str, numbers: NDArray[np.float64]) -> Step | None:
    """The unit of a column of whole numbers that is called a step, and runs through the file; None for any other."""
    match = STEP_NAME.search(name)
    if match is None or numbers[0] < 0 or not never_falls(numbers):
        return None
    form, cycle = CYCLES.get(match["unit"].lower(), (None, 0))
    if numbers[-1] <= cycle:
        return None
    return Step(form, "by its name") if form else _unit(numbers)


def trend(numbers: NDArray[np.float64]) -> int:
    """1 where numbers grow with the rows, -1 where they fall, else 0."""
    some = pd.Series(numbers[:: max(1, len(numbers) // SAMPLE_ROWS)])
    if some.nunique() < 2:  # noqa: PLR2004 - one number has no direction.
        return 0
    correlation = float(np.corrcoef(some.rank(), np.arange(len(some)))[0, 1])
    return int(np.sign(correlation)) if abs(correlation) >= TREND else 0


def _unit(numbers: NDArray[np.float64]) -> Step:
    steps = int(numbers[-1] - numbers[0]) + 1
    if _has_daily_rhythm((numbers - numbers[0]).astype(np.int64), steps):
        return Step(TimeFormat.HOURS, "because the number of rows repeats every 24 steps")
    if SHORT <= steps <= LONG:
        return Step(TimeFormat.DAYS, f"because hours would be {steps / HOURS_OF_A_DAY:.0f} days without day and night")
    reason = "more than a year" if steps > LONG else "few, and history needs hours to tell them apart"
    return Step(TimeFormat.HOURS, f"because {steps:,} days would be {reason}")


def _has_daily_rhythm(places: NDArray[np.int64], steps: int) -> bool:
    """Whether the counts of rows differ more between hours of the day than between days (by an F ratio)."""
    days = steps // HOURS_OF_A_DAY
    if days < RHYTHM_DAYS:
        return False
    counts = np.bincount(places, minlength=steps)[: days * HOURS_OF_A_DAY].reshape(days, HOURS_OF_A_DAY)
    shares = counts / np.maximum(counts.mean(axis=1, keepdims=True), 1e-9)
    between = days * shares.mean(axis=0).var() * HOURS_OF_A_DAY / (HOURS_OF_A_DAY - 1)
    within = shares.var(axis=0).mean() * days / (days - 1)
    return bool(between > RHYTHM * within)

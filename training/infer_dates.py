"""In which form a file writes its dates, guessed from all of its cells; the schema says it, and serving reads it so.

A column has one form. The one that reads the most cells is taken, and what it does not read is counted: training names
the rows. Where no day is above 12, day and month could be either way round: the rows of a file mostly follow each
other in time, so the way that goes back less often is taken, and of two that go back as often, or all the time, the
one in which the file spans the shorter time; the comment asks to be checked.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract import cells, dates
from contract.schema import Column, Kind, TimeFormat

CLOCK = r"[ T,]+\d{1,2}(?::\d{2}|\s*[AaPp][Mm]).*$"
"""The time of the day behind a date."""
CLOCK_ALONE = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[AaPp][Mm])?"
FORMS = (TimeFormat.ISO, TimeFormat.DAY_FIRST, TimeFormat.MONTH_FIRST, TimeFormat.YEAR_FIRST)
"""The surest first."""
AMBIGUOUS_FORMATS = (TimeFormat.DAY_FIRST, TimeFormat.MONTH_FIRST)
HALF = 0.5
"""The share of cells that must be dates for a column to be one of dates."""
SHUFFLED = 0.25
"""The share of rows that go back in time, in both ways round, from which their order tells nothing."""
SAMPLE_ROWS = 2000
LATER_NAME = re.compile(
    r"birth|dob|expir|valid|since|open|issue|signup|regist|join|update|modif|clos|settle|post", re.I
)
"""Dates of somebody, or of what came before or after the transaction."""


@dataclass(frozen=True, slots=True)
class Dates:
    """The form of a column of dates.

    Attributes:
        misfits: which cells are in another form or none, bool, shape (cells,).
        either: whether day and month could be either way round.
    """

    form: TimeFormat
    misfits: NDArray[np.bool_]
    either: bool = False

    @property
    def comment(self) -> str:
        """What the person who edits the schema must know."""
        return "; ".join(filter(None, (self._either(), self._misfits())))

    def _either(self) -> str:
        if not self.either:
            return ""
        taken, other = self.form, next(form for form in AMBIGUOUS_FORMATS if form is not self.form)
        means = {TimeFormat.DAY_FIRST: "3 April", TimeFormat.MONTH_FIRST: "4 March"}
        return (
            f"CHECK: day or month first? No day in the file is above 12. 03/04 was taken for {means[taken]}; if it is "
            f'{means[other]}, time_format = "{other}"'
        )

    def _misfits(self) -> str:
        if not self.misfits.any():
            return ""
        where = int(np.flatnonzero(self.misfits)[0])
        return (
            f"dates in another form, or none: {int(self.misfits.sum()):,} of {len(self.misfits):,} filled cells, the "
            f"first is filled cell {where + 1}; write them all in one form"
        )


def dates_of(full: pd.Series) -> Dates | None:
    """The form of these filled cells; None where fewer than half are dates in any form."""
    some = full.iloc[:: max(1, len(full) // SAMPLE_ROWS)]
    forms = [form for form in FORMS if float(_fits(form, some.tolist()).mean()) >= HALF]
    if not forms:
        return None
    if forms[0] is TimeFormat.ISO and (fits := _fits(TimeFormat.ISO, full.tolist())).all():
        return Dates(TimeFormat.ISO, ~fits)  # At numpy's speed, and what most files are.
    return _best(full, forms)


def _best(full: pd.Series, forms: list[TimeFormat]) -> Dates:
    """By the dates without their times of the day: a column has few different ones."""
    codes, distinct = pd.factorize(full.str.replace(CLOCK, "", regex=True))
    misses = {form: ~(_fits(form, distinct.tolist())[codes] & _clocks_fit(form, full)) for form in forms}
    best = min(forms, key=lambda form: int(misses[form].sum()))
    either = all(form in misses and not misses[form].any() for form in AMBIGUOUS_FORMATS)
    if either:
        best = _likelier(distinct.tolist(), codes)
    return Dates(best, misses[best], either)


def is_clock(full: pd.Series) -> bool:
    """Whether cells are times of a day, without the day."""
    some = full.iloc[:: max(1, len(full) // SAMPLE_ROWS)]
    return float(some.str.fullmatch(CLOCK_ALONE).mean()) >= HALF


def names_another_moment(name: str) -> bool:
    """Whether a column of times, by its name, is another moment than the transaction's."""
    return bool(LATER_NAME.search(name))


def _fits(form: TimeFormat, texts: list[str]) -> NDArray[np.bool_]:
    fits = np.ones(len(texts), dtype=np.bool_)
    fits[list(_cells(form, texts).faults)] = False
    return fits


def _cells(form: TimeFormat, texts: list[str]) -> cells.Cells:
    return cells.from_text(Column("time", Kind.TIMESTAMP, time_format=form), texts)


def _clocks_fit(form: TimeFormat, full: pd.Series) -> NDArray[np.bool_]:
    """Whether the times of the day can be read, each writing tried with one day: a day has few of them."""
    clocks = full.str.extract(f"({CLOCK})", expand=False).fillna("")
    codes, distinct = pd.factorize(clocks)
    day = dates.format_time(form, 0.0).replace("T", " ").split(" ")[0]
    fits: NDArray[np.bool_] = _fits(form, [f"{day}{clock}" for clock in distinct])[codes]
    return fits


def _likelier(distinct: list[str], codes: NDArray[np.int64]) -> TimeFormat:
    """Which of AMBIGUOUS_FORMATS puts the rows in order of time, else which spans the shorter time."""
    moments = {form: _cells(form, distinct).values[codes] for form in AMBIGUOUS_FORMATS}
    back = {form: float(np.mean(np.diff(values) < 0)) for form, values in moments.items()}
    ordered = min(back.values()) < SHUFFLED
    return min(AMBIGUOUS_FORMATS, key=lambda form: (back[form] if ordered else 0.0, np.ptp(moments[form])))

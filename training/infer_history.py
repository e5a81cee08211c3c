"""The `[[history]]` blocks of a first schema: windows for the entities that appear often enough.

The windows follow the time that the file spans. One longer than half of it would be all that there is in training, and
go on growing in service: the model would score what it never saw.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.windows import DAY, HOUR, MINUTE, duration
from training.amounts import Amount
from training.schema_history import LABEL_DELAY, usual_bucket

MAX_ENTITIES = 3
"""Entities with history features: each costs bytes and time in serving."""
MIN_ROWS = 2
"""Of each entity on the average: of those that appear once there is nothing to remember."""
WINDOW_LENGTHS = (10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY)
"""The lengths of windows: the longest three that the file's time can hold twice are taken."""
WINDOWS = 3
RISKS = (7 * DAY, 30 * DAY)
KNOWN_BY = 0.9
"""The share of frauds that a label's delay lets be known, where the file says when each was."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """When things happened in the file.

    Attributes:
        span: seconds from the first transaction to the last.
        delay: seconds that labels take to arrive, a whole number of days.
    """

    span: float
    delay: int = LABEL_DELAY

    @classmethod
    def of(
        cls, seconds: NDArray[np.float64], frauds: NDArray[np.bool_], confirmed: NDArray[np.float64] | None
    ) -> "Times":
        """Of transactions, shape (rows,) each, NaN where a moment is unknown; a half percent at each end is no span."""
        known = seconds[~np.isnan(seconds)]
        if not len(known):
            return cls(0.0)
        first, last = np.quantile(known, [0.005, 0.995])
        return cls(
            float(last - first), _delay(confirmed[frauds] - seconds[frauds]) if confirmed is not None else LABEL_DELAY
        )

    @property
    def windows(self) -> list[int]:
        """The lengths of windows in seconds, ascending; none for a file of minutes."""
        return [length for length in WINDOW_LENGTHS if 2 * length <= self.span][-WINDOWS:]

    @property
    def risks(self) -> list[int]:
        """The lengths of risk windows in seconds: these end a delay before the transaction."""
        return [length for length in RISKS if 2 * (length + self.delay) <= self.span]


def history(frame: pd.DataFrame, entities: list[str], amount: Amount, times: Times) -> str:
    """The blocks for these columns of a file with times, as TOML; nothing where no entity recurs."""
    chosen = [name for name in entities if _recurs(frame[name])][:MAX_ENTITIES]
    if not chosen or not times.windows:
        return ""
    blocks = [block for entity in chosen for block in _blocks(entity, amount.column, times)]
    return "\n".join([*_heading(times), _amount_comment(amount), *blocks])


def _amount_comment(amount: Amount) -> str:
    if amount.column is None:
        return f'# CHECK: no sums and means, for {amount.why}: add column = "..." and aggregates such as sum and mean.'
    return f"# CHECK: sums, means and their like are of {_quoted(amount.column)}: {amount.why}."


def _delay(late: NDArray[np.float64]) -> int:
    known = late[~np.isnan(late)]
    return max(1, math.ceil(float(np.quantile(known, KNOWN_BY)) / DAY)) * DAY if len(known) else LABEL_DELAY


def _heading(times: Times) -> list[str]:
    lines = ["# History: computed of the earlier transactions of each entity, over windows that fit the file's time."]
    if times.risks:
        return [
            *lines,
            "# A risk is the share of confirmed frauds. It ends a delay before the transaction: labels are known then.",
        ]
    return [
        *lines,
        f"# No risk (share of confirmed frauds): labels take {duration(times.delay)} to arrive, and the file has only "
        f"{times.span / DAY:.3g} days.",
    ]


def _recurs(column: pd.Series) -> bool:
    known = column[column != ""]
    different = known.nunique()
    return 1 < different <= len(known) / MIN_ROWS


def _blocks(entity: str, amount: str | None, times: Times) -> Iterator[str]:
    column = {} if amount is None else {"column": _quoted(amount)}
    usual = ["count", "mean"] if column else ["count"]
    longest = ["since_last", "ratio", "sum", "std", "max"] if column else ["since_last"]
    bucket = usual_bucket(times.windows, [])
    of, state = {"entity": _quoted(entity)}, {} if bucket == HOUR else {"bucket": _quoted(duration(bucket))}
    yield _block(
        {**of, "aggregates": _listed(usual), **column, "windows": _lengths(times.windows), **state, "log": "true"}
    )
    last = _lengths(times.windows[-1:])
    yield _block({**of, "aggregates": _listed(longest), **column, "windows": last, **state, "log": "true"})
    if times.risks:
        delay = {"delay": _quoted(duration(times.delay))}
        yield _block({**of, "aggregates": '["risk"]', "windows": _lengths(times.risks), **delay, **state})


def _block(keys: Mapping[str, str]) -> str:
    return "\n".join(["[[history]]", *(f"{key} = {value}" for key, value in keys.items()), ""])


def _lengths(seconds: Sequence[int]) -> str:
    return _listed([duration(length) for length in seconds])


def _listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)

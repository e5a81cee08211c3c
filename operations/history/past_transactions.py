"""Past transactions as history needs them: a few bytes each, however many texts the file holds.

Imports nothing slow: a stack that starts asks whether a past is loaded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.labels import FRAUD
from history.layout import Rows

ProgressCallback = Callable[[int, int], None]
"""Is called with how much of how much is done."""
ROW_ARRAYS = ("ids", "has_id", "seconds", "labels", "confirmed")


@dataclass(frozen=True, slots=True, eq=False)
class PastTransactions:
    """Transactions that have a time, in the order of their file; arrays have the shape (rows,).

    Attributes:
        ids: digests of their ids, which are keyed on their way to Redis.
        labels: UNLABELLED, GENUINE or FRAUD.
        confirmed: when the label was known, in seconds as the times; NaN where the file does not say.
        codes: of the columns of text, the number of each row's text, from 0.
        texts: the distinct texts of each such column by their number, shape (texts,).
    """

    ids: NDArray[np.void]
    has_id: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    labels: NDArray[np.uint8]
    confirmed: NDArray[np.float64]
    numbers: Mapping[str, NDArray[np.float64]]
    codes: Mapping[str, Rows]
    texts: Mapping[str, NDArray[Any]]

    @property
    def rows(self) -> int:
        """Number of transactions."""
        return len(self.seconds)

    @property
    def newest(self) -> float:
        """The time of the newest transaction."""
        return float(self.seconds.max())

    def take(self, chosen: NDArray[Any]) -> "PastTransactions":
        """The transactions at these positions, or under this mask."""
        return replace(
            self,
            **{name: getattr(self, name)[chosen] for name in ROW_ARRAYS},
            numbers={name: values[chosen] for name, values in self.numbers.items()},
            codes={name: codes[chosen] for name, codes in self.codes.items()},
        )

    def columns(self, names: Iterable[str], rows: Rows) -> dict[str, NDArray[Any]]:
        """These columns of some rows, as in a table."""
        return {
            name: self.numbers[name][rows] if name in self.numbers else self.texts[name][self.codes[name][rows]]
            for name in names
        }


@dataclass(frozen=True, slots=True, eq=False)
class ParsedFile:
    """The content of a file.

    Attributes:
        past: the transactions that a window can still see; None where there is none.
        sha256: of the file, in hexadecimal.
        older: rows that no window can see any more.
        untimed: rows without a time, which belong to no history.
        repeated: rows whose id an earlier row of the file has.
    """

    past: PastTransactions | None
    sha256: str
    rows: int
    skipped: int
    older: int
    untimed: int
    repeated: int


def effective_seconds(
    seconds: NDArray[np.float64], labels: NDArray[np.uint8], confirmed: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The times from which transactions count: their own, or of a fraud its confirmation's where that is later."""
    effective: NDArray[np.float64] = np.where(labels == FRAUD, np.fmax(seconds, confirmed), seconds)
    return effective

"""Which windows are evaluated together, which layouts their states have, and which values they have by default."""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract, Kind
from contract.windows import Aggregate, Window
from history.layout import DIGEST_BYTES, Columns, RecordLayout


@dataclass(frozen=True)
class Plan:
    """Windows that are evaluated together, and the column of time that they share.

    Attributes:
        windows: without repeats.
        time: the column of the transaction's time.
        histories: the windows of each contract, where there are several. They are laid out apart, so that the states
            of a contract are the same whichever other contracts are planned with it.
        clock: the column beside `time` that holds the time of the day; empty where `time` holds both.
    """

    windows: tuple[Window, ...]
    time: str
    histories: tuple[tuple[Window, ...], ...] = ()
    clock: str = ""

    @classmethod
    def of(cls, contracts: Sequence[Contract]) -> "Plan | None":
        """The windows of all contracts that tables of the first one can fill; None where there are none."""
        first, *others = contracts
        if first.time is None:
            return None
        readable = {(column.name, column.kind) for column in first.inputs}
        alike = [each for each in others if each.time is not None and each.time.names == first.time.names]
        histories = tuple(filter(None, (first.history, *(_readable(each, readable) for each in alike))))
        windows = tuple(dict.fromkeys(window for history in histories for window in history))
        several = histories if len(histories) > 1 else ()
        return cls(windows, first.time.name, several, first.time.clock) if windows else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the windows."""
        return tuple(window.name for window in self.windows)

    @cached_property
    def digest(self) -> bytes:
        """Names the plan in the records of transactions, so that values of another plan are not taken for its own."""
        layouts = [layout.digest.hex() for layout in self.layouts]
        text = json.dumps([self.time, layouts, *(window.to_json() for window in self.windows)])
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()

    @cached_property
    def parts(self) -> tuple[tuple[RecordLayout, tuple[Window, ...]], ...]:
        """Each layout with the windows that are read from it; a window of several layouts is read from the first."""
        result: dict[RecordLayout, list[Window]] = {}
        done = set[Window]()
        for layout, windows in self._groups:
            result.setdefault(layout, []).extend(window for window in windows if window not in done)
            done.update(windows)
        return tuple((layout, tuple(windows)) for layout, windows in result.items())

    @cached_property
    def oldest(self) -> Mapping[RecordLayout, int]:
        """The oldest bucket that a window reads of each layout, counted back from a transaction's."""
        result: dict[RecordLayout, int] = {}
        for layout, windows in self._groups:
            result[layout] = max(result.get(layout, 0), *(window.oldest for window in windows))
        return result

    @property
    def _groups(self) -> Iterator[tuple[RecordLayout, list[Window]]]:
        """For each contract the windows of the same entity and bucket size, and what is kept for them."""
        for history in self.histories or (self.windows,):
            groups: dict[tuple[str, int], list[Window]] = {}
            for window in history:
                groups.setdefault((window.entity, window.bucket), []).append(window)
            yield from ((_layout((self.time, self.clock), windows), windows) for windows in groups.values())

    @cached_property
    def layouts(self) -> tuple[RecordLayout, ...]:
        """The layouts of all states."""
        return tuple(layout for layout, _ in self.parts)

    @cached_property
    def seconds(self) -> int:
        """How far back the longest window reaches, its delay included."""
        return max(window.seconds + window.delay + window.bucket for window in self.windows)

    def default_values(self, columns: Columns, rows: int) -> dict[str, NDArray[np.float64]]:
        """The values of rows that see nothing, by window; shape (rows,) each.

        Such a row has no entity or no time, or Redis is not available. Count, sum, std, distinct and risk are 0, ratio
        is 1 and since_last the length of its window; mean and max are missing (NaN).
        """
        return {window.name: _default_values(window, columns, rows) for window in self.windows}


def _readable(contract: Contract, columns: Container[tuple[str, Kind]]) -> tuple[Window, ...]:
    """The windows of a contract that read these columns only."""
    kinds = {column.name: column.kind for column in contract.inputs}
    return tuple(
        window
        for window in contract.history
        if all((name, kinds[name]) in columns for name in (window.entity, window.column) if name is not None)
    )


def _layout(time: tuple[str, str], windows: Iterable[Window]) -> RecordLayout:
    """The layout that these windows, of one entity and bucket size, need."""
    needs: dict[Aggregate, set[str]] = {aggregate: set() for aggregate in Aggregate}
    for window in windows:
        needs[window.aggregate].add(window.column or "")
        entity, bucket = window.entity, window.bucket
    delays = {window.delay for window in windows if window.aggregate is Aggregate.RISK}
    means = needs[Aggregate.SUM] | needs[Aggregate.MEAN] | needs[Aggregate.RATIO]
    return RecordLayout(
        entity=entity,
        time=time[0],
        clock=time[1],
        bucket=bucket,
        sums=tuple(sorted(means | needs[Aggregate.STD] | needs[Aggregate.MAX])),
        squares=tuple(sorted(needs[Aggregate.STD])),
        largest=tuple(sorted(needs[Aggregate.MAX])),
        sets=tuple(sorted(needs[Aggregate.DISTINCT])),
        last=bool(needs[Aggregate.SINCE_LAST]),
        delay=next(iter(delays), None),
    )


def _default_values(window: Window, columns: Columns, rows: int) -> NDArray[np.float64]:
    if window.aggregate is Aggregate.RATIO and window.column is not None:
        return np.where(np.isnan(columns[window.column]), np.nan, np.ones(rows))
    if window.aggregate is Aggregate.SINCE_LAST:
        return np.full(rows, float(window.seconds))
    return np.full(rows, np.nan if window.aggregate in {Aggregate.MEAN, Aggregate.MAX} else 0.0)

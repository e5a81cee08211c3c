"""Which windows are evaluated together, and which layouts are kept for them."""

import hashlib
import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.schema import Contract, Kind
from contract.windows import Aggregate, Window
from history.layout import DIGEST_BYTES, Columns, Layout


@dataclass(frozen=True)
class Plan:
    """Windows that are evaluated together, and the column of time that they share.

    Attributes:
        windows: each once.
        histories: the windows of each contract that they come from, where there are several. What a contract's state
            holds is the contract's own matter: it must be the same whichever others are there beside it.
        clock: the column beside `time` that holds the time of the day, if one does.
    """

    windows: tuple[Window, ...]
    time: str
    histories: tuple[tuple[Window, ...], ...] = ()
    clock: str = ""

    @classmethod
    def of(cls, contracts: Sequence[Contract]) -> "Plan | None":
        """What the first contract's tables can give to all of them; None where none has a history."""
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
        """Tells plans apart whose values are kept."""
        layouts = [layout.digest.hex() for layout in self.layouts]
        text = json.dumps([self.time, layouts, *(window.to_json() for window in self.windows)])
        return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()

    @cached_property
    def parts(self) -> tuple[tuple[Layout, tuple[Window, ...]], ...]:
        """The windows by the layout that they read, each once; a layout that others read better has none."""
        found: dict[Layout, list[Window]] = {}
        done = set[Window]()
        for layout, windows in self._groups:
            found.setdefault(layout, []).extend(window for window in windows if window not in done)
            done.update(windows)
        return tuple((layout, tuple(windows)) for layout, windows in found.items())

    @cached_property
    def oldest(self) -> Mapping[Layout, int]:
        """The oldest bucket that a window reads of each layout, counted back from a transaction's."""
        found: dict[Layout, int] = {}
        for layout, windows in self._groups:
            found[layout] = max(found.get(layout, 0), *(window.oldest for window in windows))
        return found

    @property
    def _groups(self) -> Iterator[tuple[Layout, list[Window]]]:
        """For each contract the windows of the same entity and bucket size, and what is kept for them."""
        for history in self.histories or (self.windows,):
            groups: dict[tuple[str, int], list[Window]] = {}
            for window in history:
                groups.setdefault((window.entity, window.bucket), []).append(window)
            yield from ((_layout((self.time, self.clock), windows), windows) for windows in groups.values())

    @cached_property
    def layouts(self) -> tuple[Layout, ...]:
        """What is kept for them."""
        return tuple(layout for layout, _ in self.parts)

    @cached_property
    def seconds(self) -> int:
        """How far back the longest window reaches, its delay included."""
        return max(window.seconds + window.delay + window.bucket for window in self.windows)

    def neutral(self, columns: Columns, rows: int) -> dict[str, NDArray[np.float64]]:
        """The values of rows that see nothing, by window."""
        return {window.name: _default_values(window, columns, rows) for window in self.windows}


def _readable(contract: Contract, columns: Container[tuple[str, Kind]]) -> tuple[Window, ...]:
    """The windows of a contract that read these columns only."""
    kinds = {column.name: column.kind for column in contract.inputs}
    return tuple(
        window
        for window in contract.history
        if all((name, kinds[name]) in columns for name in (window.entity, window.column) if name is not None)
    )


def _layout(time: tuple[str, str], windows: Iterable[Window]) -> Layout:
    """What these windows, of one entity and bucket size, need."""
    needs: dict[Aggregate, set[str]] = {aggregate: set() for aggregate in Aggregate}
    for window in windows:
        needs[window.aggregate].add(window.column or "")
        entity, bucket = window.entity, window.bucket
    delays = {window.delay for window in windows if window.aggregate is Aggregate.RISK}
    means = needs[Aggregate.SUM] | needs[Aggregate.MEAN] | needs[Aggregate.RATIO]
    return Layout(
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

"""Replaces files just before one of them is opened for the n-th time, as somebody does who writes beside us.

Python tells of every file that it opens by an audit event, so nothing in the code that is tested knows of it.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path


@dataclass(eq=False)
class Swap:
    """What is put in the place of which files, before which opening of any of them.

    Attributes:
        opened: how often one of them was opened.
    """

    others: Mapping[Path, bytes]
    before: int
    opened: int = 0

    def see(self, path: object) -> None:
        """A file is about to be opened."""
        if not isinstance(path, str | os.PathLike) or Path(path) not in self.others:
            return
        self.opened += 1
        if self.opened == self.before:
            for place, data in self.others.items():
                moved = place.with_name(f".{place.name}.swapped")
                moved.write_bytes(data)
                moved.replace(place)


_swaps: list[Swap] = []


@contextmanager
def swapped(others: Mapping[Path, bytes], before: int) -> Iterator[Swap]:
    """Replaces these files before the n-th opening, and puts the ones that were there back at the end."""
    kept = {path: path.read_bytes() for path in others}
    swap = Swap(others, before)
    _swaps.append(swap)
    try:
        yield swap
    finally:
        _swaps.remove(swap)
        for path, data in kept.items():
            path.write_bytes(data)


def at_every_step(others: Mapping[Path, bytes]) -> Iterator[Swap]:
    """One turn for each opening: the files are replaced before it; the last turn replaces nothing."""
    for before in count(1):
        with swapped(others, before) as swap:
            yield swap
        if swap.opened < before:
            assert before > 1, "none of these files was opened"
            return


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for swap in _swaps:
            swap.see(arguments[0])


sys.addaudithook(_audit)

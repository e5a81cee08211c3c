"""What is sent to the systems, and what should come of it."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.comparison import bodies
from benchmarks.comparison.systems import Call, RequestKind, System
from benchmarks.comparison.versions import ModelVersion
from benchmarks.comparison.workloads import Sizes
from benchmarks.peers.scorer import PeerScorer
from contract.features import to_matrix
from contract.table import read_csv
from history.evaluation import with_history
from training.simulator import Simulation, simulate

CHECK_ROWS = 1000
SINGLE_TEMPLATES, ROWS_TEMPLATES = 4_000, 100
"""Different ones: with 400 and 4, sent again and again, each card had some hundred transactions in the same second."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Request bodies, in which a mark stands for a part of each id.

    Attributes:
        file: all of them, one after the other.
        lengths: of each, in bytes.
        rows: transactions in each.
    """

    file: Path
    lengths: list[int]
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class BenchInputs:
    """What is sent, and what should come of it.

    Attributes:
        rows: transactions, in order of time.
        history: the version with history.
        plain: the version without.
        folder: a scratch directory.
    """

    rows: pd.DataFrame
    history: ModelVersion
    plain: ModelVersion
    folder: Path
    sizes: Sizes
    _templates: dict[tuple[str, str], Templates] = field(default_factory=dict)
    _prefixes: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def templates(self, call: Call, kind: RequestKind, size: int) -> Templates:
        """The bodies of a call; a file has at most so many bytes."""
        key = call.encoding.value, f"{kind.value} {size}"
        if key not in self._templates:
            made = list(self._bodies(call, kind, size))
            file = self.folder / f"bodies-{len(self._templates)}"
            file.write_bytes(b"".join(body for body, _ in made))
            self._templates[key] = Templates(file, [len(body) for body, _ in made], made[0][1])
        return self._templates[key]

    def prefix(self) -> str:
        """The first part of the marks of one load."""
        return f"{next(self._prefixes):04x}"

    def _bodies(self, call: Call, kind: RequestKind, size: int) -> Iterator[tuple[bytes, int]]:
        scorer = PeerScorer(self.plain.unpacked)
        if kind is RequestKind.SINGLE:
            for number in range(min(SINGLE_TEMPLATES, len(self.rows))):
                yield bodies.encode(call.encoding, self.rows[number : number + 1], scorer), 1
        elif kind is RequestKind.ROWS:
            for begin in range(0, min(ROWS_TEMPLATES, len(self.rows) // CHECK_ROWS) * CHECK_ROWS, CHECK_ROWS):
                yield bodies.encode(call.encoding, self.rows[begin : begin + CHECK_ROWS], scorer), CHECK_ROWS
        else:
            rows = rows_within(self.rows, size)
            yield bodies.encode(call.encoding, self.rows[:rows], scorer), rows

    def check_template(self, call: Call) -> Templates:
        """The body by which a system is compared with the reference."""
        body = bodies.encode(call.encoding, self.check_rows(), PeerScorer(self.plain.unpacked))
        file = self.folder / "check"
        file.write_bytes(body)
        return Templates(file, [len(body)], CHECK_ROWS)

    def reference(self, system: System) -> NDArray[np.float64]:
        """The probabilities that a system should give to the rows of the check."""
        scorer = PeerScorer((self.history if system.has_history else self.plain).unpacked)
        table = read_csv(scorer.contract, self.check_rows().to_csv(index=False).encode()).table
        matrix = to_matrix(scorer.contract, with_history(scorer.contract, table, None))
        return scorer.probabilities(matrix).astype(np.float64)

    def check_rows(self) -> pd.DataFrame:
        """Transactions of customers and terminals that no other load has: their history is that of this file alone."""
        rows = self.rows[:CHECK_ROWS]
        names = {name: "check-" + rows[name] for name in ("customer_id", "terminal_id")}
        return rows.assign(**names)


def rows_within(rows: pd.DataFrame, size: int) -> int:
    """How many rows make a CSV file of at most so many bytes."""
    sample = rows[:2000].to_csv(index=False, lineterminator="\n").encode()
    header = sample.find(b"\n") + 1
    lengths = rows.astype(str).map(len).sum(axis=1) + rows.shape[1]
    # Ids become a mark and a number, 13 bytes.
    lengths += 13 - rows[bodies.ID].map(len)
    return max(int(np.searchsorted(lengths.cumsum().to_numpy(), size - header)), 1)


def transactions(size: int) -> pd.DataFrame:
    """Transactions that training never saw, of its customers, enough for a file of so many bytes."""
    days = math.ceil(size / 70 / 2300) + 2
    frame = simulate(Simulation(days=days, first_day=Simulation().days)).drop(columns="is_fraud")
    return frame.assign(timestamp=frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%S"))

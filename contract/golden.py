"""Golden rows: transactions with the probabilities that training computed for them.

Whoever loads a version scores its golden rows first. Equal scores prove the whole path: the CSV reader, the
features, the frame, the archive, the version and the device.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.features import to_matrix
from contract.schema import Contract
from contract.table import Table, read_csv

TOLERANCE = 1e-5
"""Largest difference of a probability that another processor may make in full precision."""


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """Rows as a caller would upload them, and the probability of each.

    The rows are synthetic: training draws every column on its own, so no row repeats a transaction.

    Attributes:
        history: the value of each history feature, in the contract's order, for each row; None is a missing one.
            A golden row is looked up in no history, and enters none.
    """

    csv: str
    probabilities: tuple[float, ...]
    history: tuple[tuple[float | None, ...], ...] = ()

    def matrix(self, contract: Contract) -> NDArray[np.float32]:
        """The golden rows through the one feature path: shape (rows, contract.width)."""
        return to_matrix(contract, self.table(contract))

    def table(self, contract: Contract) -> Table:
        """The golden rows with their history features.

        Raises:
            ValueError: they have not one value for each row and history feature.
        """
        table = read_csv(contract, self.csv.encode()).table
        values = np.array(self.history or ((),) * table.rows, dtype=np.float64)
        if values.shape != (table.rows, len(contract.history)):
            raise ValueError("the golden rows have not the history that their contract names")
        return table.extended({window.name: values[:, position] for position, window in enumerate(contract.history)})

    def difference(self, probabilities: NDArray[Any]) -> float:
        """Largest absolute difference from the expected probabilities; infinite where the count differs, or is 0."""
        if not self.probabilities or len(probabilities) != len(self.probabilities):
            return float("inf")
        return float(np.max(np.abs(probabilities - np.array(self.probabilities)), initial=0.0))

    def to_json(self) -> dict[str, Any]:
        """The golden rows as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_json` wrote."""
        history = (tuple(None if value is None else float(value) for value in row) for row in fields.get("history", ()))
        return cls(str(fields["csv"]), tuple(map(float, fields["probabilities"])), tuple(history))

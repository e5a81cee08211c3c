"""Between which numbers nearly all of a column's were, by which serving sees that others come on another scale."""

import numpy as np

from contract.schema import Contract, Kind
from contract.table import Table

OUTER_SHARE = 0.01
"""Of the numbers that are left out on either side."""


def ranges(contract: Contract, table: Table) -> dict[str, list[float]]:
    """The lower and the upper bound of each column of numbers, in three digits; none of one without a number."""
    result = {}
    for name in (column.name for column in contract.columns if column.kind is Kind.NUMBER):
        values = table.columns[name]
        known = values[~np.isnan(values)]
        if len(known):
            bounds = np.quantile(known, [OUTER_SHARE, 1 - OUTER_SHARE]).tolist()
            result[name] = [float(f"{bound:.3g}") for bound in bounds]
    return result
